package e2e

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
)

// callback is one request that reached the receiver.
type callback struct {
	method string
	query  string
	header http.Header
	body   []byte
}

func (c callback) id() string                   { return c.header.Get("webhook-id") }
func (c callback) get(path string) gjson.Result { return gjson.GetBytes(c.body, path) }
func (c callback) verify(secret string) error   { return verified(secret, c) }
func (c callback) about(job string) bool        { return c.get("data.id").String() == job }
func (c callback) is(job, typ string) bool      { return c.about(job) && c.get("type").String() == typ }
func (c callback) attempt() string              { return c.header.Get("X-Ringback-Attempt") }

// verified asks the Standard Webhooks library.
func verified(secret string, c callback) error {
	wh, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return err
	}
	return wh.Verify(c.body, c.header)
}

// receiver is a customer's server: it records each callback and answers by the statuses it was given, then 200.
type receiver struct {
	t      *testing.T
	server *httptest.Server
	handle func(c callback) int // nil: statuses alone

	mu       sync.Mutex
	respond  func(w http.ResponseWriter, c callback) // nil: by handle; set by answers
	got      []callback
	statuses []int
	checked  tally
}

func startReceiver(t *testing.T, statuses ...int) *receiver {
	t.Helper()
	r := &receiver{t: t, statuses: statuses}
	r.server = httptest.NewServer(r)
	t.Cleanup(func() {
		r.server.CloseClientConnections()
		r.server.Close()
	})
	return r
}

// ServeHTTP records and answers.
func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return // cut off: not a callback that arrived
	}
	c := callback{request.Method, request.URL.RawQuery, request.Header.Clone(), body}
	if err := r.checked.checkCallback(c); err != nil {
		r.t.Error(err)
	}
	status := r.record(c)
	if respond := r.answering(); respond != nil {
		respond(w, c)
		return
	}
	if r.handle != nil {
		status = r.handle(c)
	}
	w.WriteHeader(status)
}

// answers sets how callbacks are answered from now on.
func (r *receiver) answers(respond func(w http.ResponseWriter, c callback)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.respond = respond
}

func (r *receiver) answering() func(w http.ResponseWriter, c callback) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.respond
}

func (r *receiver) record(c callback) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, c)
	if n := len(r.got); n <= len(r.statuses) {
		return r.statuses[n-1]
	}
	return http.StatusOK
}

// all are the callbacks so far.
func (r *receiver) all() []callback {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// field is the webhook member of a submission that names this receiver.
func (r *receiver) field() string { return `,"webhook":"` + r.server.URL + `/hook"` }

// wait gives the first callback of a type about a job.
func (r *receiver) wait(job, typ string) (found callback) {
	r.t.Helper()
	eventually(r.t, typ+" of "+job+" has arrived", func() bool {
		all := r.all()
		i := slices.IndexFunc(all, func(c callback) bool { return c.is(job, typ) })
		if i >= 0 {
			found = all[i]
		}
		return i >= 0
	})
	return found
}

// secret is the key that the server signs with.
func (s *server) secret() string {
	s.t.Helper()
	return s.read("/v1/webhooks/default/secret").get("key").String()
}

// onlyOnce wants each callback about a job to verify and to be the same one event, however often it came.
func (r *receiver) onlyOnce(job, secret string) {
	r.t.Helper()
	ids := map[string]bool{}
	for _, c := range r.all() {
		if c.about(job) {
			require.NoError(r.t, c.verify(secret))
			ids[c.id()] = true
		}
	}
	require.Len(r.t, ids, 1, "one event, with one webhook-id, for %s", job)
}
