package web

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"net/http"
	"sync"

	"github.com/gin-gonic/gin"

	"github.com/ringback/ringback/jobs"
)

const (
	keyHeader    = "Idempotency-Key"
	replayHeader = "Idempotent-Replayed"
	maxKey       = 255
)

// once answers a creating request. With an Idempotency-Key the first answer is given again to whoever sends the same
// request again; while the first is still at work in this process, the others are told to come back.
func (s *core) once(c *gin.Context, status int, create func(k key) ([]byte, error)) error {
	k, err := readKey(c.Request)
	if err != nil {
		return err
	}
	release, err := s.flights.enter(s.project(c), k)
	if err != nil {
		return err
	}
	defer release()
	answer, err := create(k)
	var replay *jobs.Replay
	if errors.As(err, &replay) {
		c.Header(replayHeader, "true")
		answer, err = replay.Answer, nil
	}
	if err != nil {
		return err
	}
	send(c, status, answer)
	return nil
}

// key is a request's Idempotency-Key (empty without one) and what it holds for.
type key struct{ text, method, path string }

func readKey(r *http.Request) (key, error) {
	k := key{method: r.Method, path: r.URL.Path}
	values := r.Header.Values(keyHeader)
	if len(values) == 0 {
		return k, nil
	}
	k.text = values[0]
	if len(values) > 1 || k.text == "" || len(k.text) > maxKey || !visible(k.text) {
		return k, jobs.Errorf(jobs.CodeValue, keyHeader, "Invalid header %s: send it once, with 1 to %d visible ASCII characters.", keyHeader, maxKey)
	}
	return k, nil
}

func visible(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// over binds the key to a request's content: SHA-256 over method, path and each part, length first. Nil without a key.
func (k key) over(parts ...[]byte) *jobs.Idempotency {
	if k.text == "" {
		return nil
	}
	sum := sha256.New()
	for _, part := range append([][]byte{[]byte(k.method), []byte(k.path)}, parts...) {
		sum.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		sum.Write(part)
	}
	return &jobs.Idempotency{Key: k.text, Hash: sum.Sum(nil)}
}

// flights are the keys whose first request is at work in this process. Across processes the store decides.
type flights struct {
	mu   sync.Mutex
	busy map[[2]string]struct{}
}

func newFlights() *flights { return &flights{busy: map[[2]string]struct{}{}} }

// enter takes a project's key until release; without a key there is nothing to take.
func (f *flights) enter(project string, k key) (release func(), err error) {
	if k.text == "" {
		return func() {}, nil
	}
	id := [2]string{project, k.text}
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, taken := f.busy[id]; taken {
		return nil, jobs.Errorf(jobs.CodeInFlight, keyHeader, "A request with this %s is still being worked on. Send it again in a moment.", keyHeader)
	}
	f.busy[id] = struct{}{}
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.busy, id)
	}, nil
}
