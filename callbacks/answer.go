package callbacks

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strings"
)

// maxSnippet is how much of an answer is read and kept, in bytes.
const maxSnippet = 16 << 10

// readAnswer keeps the beginning of an answer's body, as much as came before the deadline, and tells whether there was
// more. A body read to its end leaves the connection fit for the next callback; of a longer one nothing more is read.
func readAnswer(resp *http.Response) (snippet []byte, truncated bool) {
	raw, truncated := readSome(resp.Body)
	if !strings.EqualFold(resp.Header.Get("Content-Encoding"), "gzip") {
		return raw, truncated
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return raw, truncated // not what it claims to be
	}
	text, more := readSome(unpacked)
	return text, truncated || more
}

// readSome reads up to maxSnippet bytes; an error in between ends it, and what came before is kept.
func readSome(r io.Reader) (got []byte, more bool) {
	got, _ = io.ReadAll(io.LimitReader(r, maxSnippet+1))
	if len(got) > maxSnippet {
		return got[:maxSnippet], true
	}
	return got, false
}
