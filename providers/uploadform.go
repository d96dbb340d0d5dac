package providers

import (
	"errors"
	"io"
	"sync"
)

// uploadForm is the body of a [Form]: framing around the file, which is read as it
// is sent. It is read by the connection's goroutine, possibly for longer than the
// call takes, until stop.
type uploadForm struct {
	content *exactContent

	mu      sync.Mutex
	body    io.Reader
	stopped bool
}

var errStopped = errors.New("the call has ended")

// Read gives the body's next bytes until stop is called.
func (f *uploadForm) Read(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stopped {
		return 0, errStopped
	}
	return f.body.Read(b)
}

// Close does nothing: the content is the caller's.
func (f *uploadForm) Close() error { return nil }

// stop waits for a read that is under way, ends all later ones and returns why
// the content could not be read, if so.
func (f *uploadForm) stop() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stopped = true
	return f.content.err
}

// exactContent reads so many bytes and no more. An end before that is an error.
type exactContent struct {
	from io.Reader
	left int64
	err  error // what from failed with
}

// Read keeps the error that it gives.
func (e *exactContent) Read(b []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n, err := e.from.Read(b[:min(int64(len(b)), e.left)])
	e.left -= int64(n)
	switch {
	case e.left == 0 || err == nil:
		return n, nil
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	e.err = err
	return n, err
}
