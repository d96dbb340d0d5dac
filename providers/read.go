package providers

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// exactBytes bounds what a Content-Length alone can make this process allocate,
// and what a scratch buffer may keep.
const exactBytes = 1 << 20

var errTooLarge = errors.New("answer over the size limit")

// read returns the whole body in a slice of its own size. A body over the limit
// is errTooLarge and is not read to its end, which costs the connection.
func (p *Provider) read(resp *http.Response) ([]byte, error) {
	length := resp.ContentLength
	if length > p.answerBytes {
		return nil, errTooLarge
	}
	if length < 0 || length > exactBytes {
		return p.readUnsized(resp.Body)
	}
	body := make([]byte, length)
	_, err := io.ReadFull(resp.Body, body)
	return body, err
}

func (p *Provider) readUnsized(from io.Reader) ([]byte, error) {
	buf, ok := p.scratch.Get().(*bytes.Buffer)
	if !ok {
		buf = new(bytes.Buffer)
	}
	defer p.recycle(buf)
	n, err := buf.ReadFrom(io.LimitReader(from, p.answerBytes+1))
	if err != nil {
		return nil, err
	}
	if n > p.answerBytes {
		return nil, errTooLarge
	}
	return bytes.Clone(buf.Bytes()), nil
}

func (p *Provider) recycle(buf *bytes.Buffer) {
	if buf.Cap() <= exactBytes {
		buf.Reset()
		p.scratch.Put(buf)
	}
}

func (p *Provider) tooLarge() string {
	return fmt.Sprintf("The provider's answer is over the limit of %d bytes; ask for less, or ask the operator to raise the limit.", p.answerBytes)
}
