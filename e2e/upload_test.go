package e2e

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/require"
)

// J5: uploads of every odd kind are refused with the part's name, or accepted; what is refused leaves no bytes.
func TestUploads(t *testing.T) {
	t.Parallel()
	s := startServer(t, "limits.file_bytes=20MB")
	good := numbered(3, 0)
	purpose, file := part{"purpose", "", "batch"}, part{"file", "in.jsonl", good}
	named := func(text string) part { return part{"file", "in.jsonl", text} }
	accepted := 0
	for _, row := range []struct {
		name   string
		parts  []part
		status int
		param  string
	}{
		{"J5 no purpose", []part{file}, 400, "purpose"},
		{"J5 unknown purpose", []part{{"purpose", "", "poem"}, file}, 400, "purpose"},
		{"J5 no file", []part{purpose}, 400, "file"},
		{"J5 file as a plain field", []part{purpose, {"file", "", good}}, 400, "file"},
		{"J5 two files", []part{purpose, file, file}, 400, "file"},
		{"J5 unknown part", []part{purpose, file, {"colour", "", "red"}}, 400, "colour"},
		{"J5 file part after the fields", []part{purpose, file}, 200, ""},
		{"J5 file part before the fields", []part{file, purpose}, 200, ""},
		{"J5 0 bytes for a batch", []part{purpose, named("")}, 400, "file"},
		{"J5 no final newline", []part{purpose, named(strings.TrimSuffix(good, "\n"))}, 200, ""},
		{"J5 CRLF", []part{purpose, named(strings.ReplaceAll(good, "\n", "\r\n"))}, 200, ""},
		{"J5 BOM", []part{purpose, named("\xef\xbb\xbf" + good)}, 200, ""},
		{"J5 UTF-16", []part{purpose, named(inUTF16(good))}, 400, "file"},
		{"J5 NUL bytes first", []part{purpose, named("\x00\x00" + good)}, 400, "file"},
		{"J5 gzip bomb as the file", []part{purpose, named(gzipped(strings.Repeat(" ", 10<<20)))}, 400, "file"},
		{"J5 wrong extension", []part{purpose, {"file", "in.csv", good}}, 400, "file"},
		{"J5 longer than the limit", []part{purpose, named(strings.Repeat(good, 21_000_000/len(good)))}, 413, "file"},
		{"J5 any bytes for another purpose", []part{{"purpose", "", "user_data"}, {"file", "x", "\x00\xff"}}, 200, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			a := s.upload(row.status, row.parts...)
			if row.status == http.StatusOK {
				accepted++
			} else {
				require.Equal(t, row.param, refused(t, a).Get("param").String(), "%s", a.body)
			}
			require.Len(t, s.blobs(), accepted, "bytes are kept for accepted files alone")
		})
	}
}

func inUTF16(text string) string {
	var b strings.Builder
	b.WriteString("\xff\xfe")
	for _, unit := range utf16.Encode([]rune(text)) {
		b.WriteByte(byte(unit))
		b.WriteByte(byte(unit >> 8))
	}
	return b.String()
}

func gzipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text)) // a buffer takes all
	_ = w.Close()
	return b.String()
}

// J5: what is odd and accepted runs to its end, line for line.
func TestOddInputsRun(t *testing.T) {
	t.Parallel()
	up := startUpstream(t, nil)
	s := startServer(t, up.provider(""))
	good := numbered(3, 0)
	long := ask("q-000000 " + strings.Repeat("y", 10<<20))
	for _, row := range []struct{ name, input string }{
		{"J5 no final newline", strings.TrimSuffix(good, "\n")},
		{"J5 CRLF", strings.ReplaceAll(good, "\n", "\r\n")},
		{"J5 BOM", "\xef\xbb\xbf" + good},
		{"J5 empty lines between", strings.ReplaceAll(good, "\n", "\n\n \n")},
		{"J5 10 MB line", line(customID(0), long) + "\n" + line(customID(1), ask("q-000001")) + "\n" + line(customID(2), ask("q-000002"))},
	} {
		t.Run(row.name, func(t *testing.T) {
			before := up.count()
			done := s.ended(s.batch(s.input(row.input), ""))
			require.Equal(t, "completed", done.get("status").String(), "%s", done.body)
			output, _ := s.whole(done, 3)
			require.Equal(t, 3, output)
			require.Equal(t, 3, up.count()-before)
		})
	}
	require.Contains(t, up.bodies(), long, "the long line arrived byte for byte")
	t.Run("J5 NUL bytes in a later line", func(t *testing.T) {
		done := s.ended(s.batch(s.input(good+"{\"custom_id\":\"\x00\"}\n"), ""))
		require.Equal(t, "failed", done.get("status").String())
		require.EqualValues(t, 4, done.get("errors.data.0.line").Int())
	})
}

// J5: compressed bodies are refused before they are opened.
func TestCompressedRequestIsRefused(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	before := s.peak()
	body, contentType := form(part{"purpose", "", "batch"}, part{"file", "in.jsonl", strings.Repeat(" ", 30<<20)})
	bomb := gzipped(string(body))
	for _, path := range []string{"/v1/files", "/v1/batches", "/v1/generate"} {
		a := s.call(http.StatusUnsupportedMediaType, "POST", path, bomb,
			"Content-Type", contentType, "Content-Encoding", "gzip")
		refused(t, a)
	}
	require.Empty(t, s.blobs())
	require.Less(t, s.peak()-before, int64(24<<20), "30 MB were packed into it")
}
