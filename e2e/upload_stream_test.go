package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var highWater = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// peak is the most memory, in bytes, that the server's process has had resident. It is read from Linux's /proc.
func (s *server) peak() int64 {
	s.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.process.Process.Pid))
	require.NoError(s.t, err, "a process's memory is read from /proc: run this test on Linux")
	found := highWater.FindSubmatch(status)
	require.NotNil(s.t, found)
	kilobytes, err := strconv.ParseInt(string(found[1]), 10, 64)
	require.NoError(s.t, err)
	return kilobytes << 10
}

// J5: a file of 200 MB passes through without staying in memory, in and out.
func TestMemoryStaysFlatOver200MB(t *testing.T) {
	const size, rise = 200_000_000, 32 << 20
	s := startServer(t)
	first := s.input(numbered(3, 0)) // what one small upload costs is no part of it
	s.read("/v1/files/" + first + "/content")
	before := s.peak()
	head, contentType := form(part{"purpose", "", "batch"}, part{"file", "in.jsonl", ""})
	end := strings.LastIndex(string(head), "\r\n--")
	body := io.MultiReader(strings.NewReader(string(head[:end])), lineSource(size), strings.NewReader(string(head[end:])))
	a, err := s.do("POST", "/v1/files", body, "Content-Type", contentType)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, a.status, "%s", a.body)
	require.EqualValues(t, size, a.get("bytes").Int())
	response, err := s.http.Get(s.url + "/v1/files/" + a.get("id").String() + "/content")
	require.NoError(t, err)
	defer response.Body.Close()
	n, err := io.Copy(io.Discard, response.Body)
	require.NoError(t, err)
	require.EqualValues(t, size, n)
	t.Logf("resident at most %d MB, %d MB before", s.peak()>>20, before>>20)
	require.Less(t, s.peak()-before, int64(rise))
}

// lineSource is that many bytes of batch lines, the last one cut.
func lineSource(size int64) io.Reader {
	return io.LimitReader(&repeated{text: numbered(100, 1000)}, size)
}

// repeated reads a text over and over.
type repeated struct {
	text string
	at   int
}

func (r *repeated) Read(p []byte) (int, error) {
	n := copy(p, r.text[r.at:])
	r.at = (r.at + n) % len(r.text)
	return n, nil
}

// J5: a client that goes away half-way leaves nothing.
func TestHalfAnUploadLeavesNothing(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	body, contentType := form(part{"purpose", "", "batch"}, part{"file", "in.jsonl", numbered(1000, 2000)})
	connection := s.dial()
	_, err := fmt.Fprintf(connection, "POST /v1/files HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n",
		connection.RemoteAddr(), contentType, len(body))
	require.NoError(t, err)
	_, err = connection.Write(body[:len(body)/2])
	require.NoError(t, err)
	eventually(t, "bytes are being kept", func() bool { return len(s.blobs()) == 1 })
	require.NoError(t, connection.Close())
	eventually(t, "they are gone again", func() bool { return len(s.blobs()) == 0 })
	require.Empty(t, s.read("/v1/files").get("data").Array())
}

// J5: a declared size over the limit is refused before a byte of the body is sent, also to clients that ask first.
func TestDeclaredSizeOverTheLimitIsRefusedEarly(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	for _, row := range []struct{ name, header string }{
		{"J5 declared size over the limit", ""},
		{"J5 declared size over the limit, asking before sending", "Expect: 100-continue\r\n"},
	} {
		t.Run(row.name, func(t *testing.T) {
			connection := s.dial()
			require.NoError(t, connection.SetDeadline(time.Now().Add(5*time.Second)))
			_, err := fmt.Fprintf(connection, "POST /v1/files HTTP/1.1\r\nHost: %s\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: %d\r\n%s\r\n",
				connection.RemoteAddr(), int64(600_000_000), row.header)
			require.NoError(t, err)
			response, err := http.ReadResponse(bufio.NewReader(connection), nil)
			require.NoError(t, err, "no answer while the body has not been sent")
			defer response.Body.Close()
			text, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			require.Equal(t, http.StatusRequestEntityTooLarge, response.StatusCode)
			require.Equal(t, "file", refused(t, answer{response.StatusCode, response.Header, text}).Get("param").String())
		})
	}
	require.Empty(t, s.blobs())
}

// dial opens a bare connection to the server.
func (s *server) dial() net.Conn {
	s.t.Helper()
	connection, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = connection.Close() })
	require.NoError(s.t, connection.SetDeadline(time.Now().Add(patience)))
	return connection
}
