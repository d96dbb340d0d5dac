package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/ringback/ringback/jobs"
)

const notRead = "The file cannot be read now. Try again later."

// Open reads from offset to the end. A body that breaks off goes on from there with a new request, as long as no two
// Stalls pass without a byte and ctx lives. Who reads slowly may have the server close the connection: that is the same.
func (s *S3) Open(ctx context.Context, key string, offset int64) (io.ReadCloser, error) {
	name, err := s.name(key)
	if err == nil && offset < 0 {
		err = errors.New("store: there is nothing before the beginning of a file")
	}
	if err != nil {
		return nil, err
	}
	r := &s3Reader{s: s, ctx: ctx, name: name, at: offset, end: -1}
	if err := r.connect(); err != nil {
		return nil, fmt.Errorf("store: cannot open the bytes of a file: %w", err)
	}
	return r, nil
}

// s3Reader is one object from an offset on, over as many bodies as it takes.
type s3Reader struct {
	s    *S3
	ctx  context.Context // of the Open
	name string
	etag string // of the first body: the rest must be the same object's
	at   int64
	end  int64 // -1 where the server has not said
	body io.ReadCloser

	pause time.Duration // before the next request
	until time.Time     // zero while bytes come; else when it gives up
}

func (r *s3Reader) Close() error { return r.body.Close() }

func (r *s3Reader) Read(p []byte) (int, error) {
	for {
		n, err := r.body.Read(p)
		if n > 0 {
			r.at, r.until = r.at+int64(n), time.Time{}
			return n, nil // the body tells its error again
		}
		if err == nil {
			return 0, nil
		}
		if r.at == r.end || r.end < 0 && errors.Is(err, io.EOF) {
			return 0, io.EOF
		}
		if err := r.again(err); err != nil {
			return 0, err
		}
	}
}

// again connects to the rest after a break, with growing pauses until a byte has come.
func (r *s3Reader) again(broken error) error {
	_ = r.body.Close() // it is broken
	if r.until.IsZero() {
		r.pause, r.until = 50*time.Millisecond, time.Now().Add(r.s.patience)
	}
	for time.Now().Before(r.until) {
		if err := r.wait(r.pause); err != nil {
			return err
		}
		r.pause = min(2*r.pause, 2*time.Second)
		err := r.connect()
		if refused(err) || !jobs.IsCode(err, jobs.CodeUnavailable) {
			return err // also none
		}
		broken = err
	}
	return failed(r.ctx, notRead, broken)
}

func (r *s3Reader) wait(pause time.Duration) error {
	select {
	case <-time.After(pause):
		return nil
	case <-r.ctx.Done():
		return r.ctx.Err()
	}
}

// connect asks for the bytes from r.at on.
func (r *s3Reader) connect() error {
	o, err := r.options()
	if err != nil {
		return err
	}
	body, info, header, err := r.s.core.GetObject(r.ctx, r.s.bucket, r.name, o)
	var answer minio.ErrorResponse
	if errors.As(err, &answer) && answer.StatusCode == http.StatusRequestedRangeNotSatisfiable {
		r.body, r.end = http.NoBody, r.at // at the end of the object, or behind it
		return nil
	}
	if err != nil {
		return failed(r.ctx, notRead, err)
	}
	if r.at > 0 && !strings.HasPrefix(header.Get("Content-Range"), fmt.Sprintf("bytes %d-", r.at)) {
		return errors.Join(errors.New("store: the S3 server does not know ranges; use one that does"), body.Close())
	}
	r.body, r.etag = body, info.ETag
	if info.Size >= 0 {
		r.end = r.at + info.Size
	}
	return nil
}

func (r *s3Reader) options() (o minio.GetObjectOptions, err error) {
	if r.at > 0 {
		err = o.SetRange(r.at, 0)
	}
	if r.etag != "" {
		err = errors.Join(err, o.SetMatchETag(r.etag))
	}
	return o, err
}
