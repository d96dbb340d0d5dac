package clients

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// callback is one request as it arrived.
type callback struct {
	method string
	header http.Header
	body   []byte
}

// receiver answers 204 to callbacks and keeps them by their path, one path for each test.
type receiver struct {
	server *httptest.Server
	mu     sync.Mutex
	calls  map[string]chan callback
}

func startReceiver() *receiver {
	r := &receiver{calls: map[string]chan callback{}}
	r.server = httptest.NewServer(r)
	return r
}

func (r *receiver) close() { r.server.Close() }

func (r *receiver) port() int { return r.server.Listener.Addr().(*net.TCPAddr).Port }

// url is an address of the test's own; await gives what comes in there.
func (r *receiver) url(t *testing.T) string { return r.server.URL + path(t) }

func path(t *testing.T) string { return "/" + strings.ReplaceAll(t.Name(), " ", "_") }

// at holds what came in at a path: more than any test brings about.
func (r *receiver) at(path string) chan callback {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.calls[path] == nil {
		r.calls[path] = make(chan callback, 16)
	}
	return r.calls[path]
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		http.Error(w, "the body cannot be read", http.StatusBadRequest)
		return
	}
	select {
	case r.at(request.URL.Path) <- callback{request.Method, request.Header.Clone(), body}:
		w.WriteHeader(http.StatusNoContent)
	default:
		http.Error(w, "nobody takes these callbacks", http.StatusServiceUnavailable)
	}
}

// await is the next callback at the test's address.
func (r *receiver) await(t *testing.T) callback {
	t.Helper()
	select {
	case c := <-r.at(path(t)):
		return c
	case <-time.After(waitTime):
		require.Fail(t, "no callback came", "within %s", waitTime)
		return callback{}
	}
}
