package callbacks

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// peak runs f and gives by how much the process's resident memory grew at most while it ran, in bytes.
func peak(t *testing.T, f func()) int64 {
	t.Helper()
	debug.FreeOSMemory()
	require.NoError(t, os.WriteFile("/proc/self/clear_refs", []byte("5"), 0)) // the peak so far is forgotten (proc(5))
	before := resident(t, "VmRSS")
	f()
	return resident(t, "VmHWM") - before
}

func resident(t *testing.T, field string) int64 {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)
	kb, err := strconv.ParseInt(string(regexp.MustCompile(field + `:\s+(\d+) kB`).FindSubmatch(status)[1]), 10, 64)
	require.NoError(t, err)
	return kb << 10
}

// pour writes a head and then n blocks, until the reader has had enough. It allocates nothing on the way.
func pour(head, block string, n int) func(c *net.TCPConn, r *bufio.Reader) {
	bytes := []byte(block)
	return func(c *net.TCPConn, r *bufio.Reader) {
		if !readRequest(r) {
			return
		}
		_, err := io.WriteString(c, head)
		for range n {
			if err != nil {
				return
			}
			_, err = c.Write(bytes)
		}
	}
}

// R2: an answer of any size costs next to no memory. Not parallel: the memory is the process's.
func TestAnswersCostNoMemory(t *testing.T) {
	const most = 5 << 20
	mb := strings.Repeat("x", 1<<20)
	bomb := string(bomb(t))
	gz := "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: "
	for _, row := range []struct {
		name      string
		serve     func(c *net.TCPConn, r *bufio.Reader)
		code      int
		class     Class
		snippet   int
		truncated bool
	}{
		{"1 GB body", pour("HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n", mb, 1024), 200, "", maxSnippet, true},
		{"1 GB body of a 500", pour("HTTP/1.1 500 no\r\nContent-Length: 1073741824\r\n\r\n", mb, 1024), 500, "", maxSnippet, true},
		{"1 GB in chunks", pour("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "100000\r\n"+mb+"\r\n", 1024), 200, "", maxSnippet, true},
		{"1 GB without a length", pour("HTTP/1.0 200 OK\r\n\r\n", mb, 1024), 200, "", maxSnippet, true},
		{"gzip bomb", answers(gz + fmt.Sprint(len(bomb)) + "\r\n\r\n" + bomb), 200, "", maxSnippet, true},
		{"1 GB that claims gzip", pour(gz+"1073741824\r\n\r\n", mb, 1024), 200, "", maxSnippet, true},
		{"1 MB header line", answers("HTTP/1.1 200 OK\r\nX: " + mb + "\r\n\r\n"), 0, ClassInvalid, 0, false},
		{"1 GB header line", pour("HTTP/1.1 200 OK\r\nX: ", mb, 1024), 0, ClassInvalid, 0, false},
		{"1 GB status line", pour("HTTP/1.1 200 ", mb, 1024), 0, ClassInvalid, 0, false},
		{"10 000 headers", answers("HTTP/1.1 200 OK\r\n" + strings.Repeat("X-Header: value\r\n", 10000) + "\r\n"), 0, ClassInvalid, 0, false},
		{"endless 1xx", pour("", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", 1<<20), 0, ClassInvalid, 0, false},
		{"trailers", answers("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n0\r\nX: " + mb + "\r\n\r\n"), 200, "", 0, false},
	} {
		t.Run("R2 "+row.name, func(t *testing.T) {
			s := listenRaw(t, row.serve)
			p := openPoster(t)
			got := post(t, p, s.url) // warms up what is allocated once
			require.Equal(t, row.code, got.StatusCode)
			require.Equal(t, row.class, got.ErrorClass)
			require.Len(t, got.Snippet, row.snippet)
			require.Equal(t, row.truncated, got.Truncated)
			// The process has other memory, too, and the race detector its own: the least of some tries is the answer's.
			grew := peak(t, func() { post(t, p, s.url) })
			for range 4 {
				if grew < most {
					break
				}
				grew = min(grew, peak(t, func() { post(t, p, s.url) }))
			}
			require.Less(t, grew, int64(most))
		})
	}
}
