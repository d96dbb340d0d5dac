package store

import (
	"bytes"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// poolerBefore gives a DSN that leads through what tells clients another number of the server's process, as proxies do.
func poolerBefore(t *testing.T, dsn string) string {
	t.Helper()
	u := must(url.Parse(dsn))(t)
	server := u.Host
	l := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	var work sync.WaitGroup
	t.Cleanup(func() {
		_ = l.Close()
		work.Wait()
	})
	work.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			work.Go(func() { pretend(client, server, &work) })
		}
	})
	u.Host = l.Addr().String()
	return u.String()
}

func pretend(client net.Conn, server string, work *sync.WaitGroup) {
	defer client.Close()
	to, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer to.Close()
	work.Go(func() {
		_, _ = io.Copy(to, client)
		_ = to.Close()
	})
	buf := make([]byte, 64<<10)
	for {
		n, err := to.Read(buf)
		if at := bytes.Index(buf[:n], []byte{'K', 0, 0, 0, 12}); at >= 0 && at+9 <= n {
			buf[at+8] ^= 1
		}
		if _, failed := client.Write(buf[:n]); err != nil || failed != nil {
			return
		}
	}
}

// TestInspectSeesAPoolingProxy, and whether the DSN is one for it.
func TestInspectSeesAPoolingProxy(t *testing.T) {
	t.Parallel()
	w := worldOver(t, openPostgresStore(t))
	direct := must(Inspect(t.Context(), w.options))(t)
	require.False(t, direct.Proxied)
	require.True(t, direct.Prepares)
	o := w.options
	o.DSN = poolerBefore(t, o.DSN) + "&default_query_exec_mode=cache_describe"
	through := must(Inspect(t.Context(), o))(t)
	require.True(t, through.Proxied)
	require.False(t, through.Prepares)
}
