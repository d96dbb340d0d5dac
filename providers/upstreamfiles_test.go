package providers

import (
	"errors"
	"io"
	"math"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// bottomless counts what is read of it.
type bottomless struct{ read atomic.Int64 }

func (e *bottomless) Read(b []byte) (int, error) {
	e.read.Add(int64(len(b)))
	return len(b), nil
}

func TestUploadIsReadAsItIsSent(t *testing.T) {
	t.Parallel()
	const size = 64<<20 + 777
	content := &bottomless{}
	var ahead, length, rest int64
	p := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.CopyN(io.Discard, r.Body, 1<<20)
		ahead, length = content.read.Load()-n, r.ContentLength
		rest, _ = io.Copy(io.Discard, r.Body)
		answer(200, jsonType, `{"id":"file-1"}`)(w, r)
	})
	_, err := p.UploadFile(t.Context(), Upload{Name: "a", Purpose: "fine-tune", Size: size, Content: content})
	require.NoError(t, err)
	require.Less(t, ahead, int64(32<<20), "bytes read ahead of the connection")
	require.Equal(t, length, rest+1<<20)
	require.Equal(t, int64(size), content.read.Load(), "no more than Size may be read")
}

func TestUploadHasASecondForEachMegabyte(t *testing.T) {
	t.Parallel()
	require.Equal(t, time.Duration(0), transferTime(999_999))
	require.Equal(t, longestTransfer, transferTime(math.MaxInt64))
	require.Equal(t, 200*time.Second, transferTime(200_000_000))
	p := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-time.After(300 * time.Millisecond):
			answer(200, jsonType, `{"id":"file-1"}`)(w, r)
		case <-r.Context().Done():
		}
	}, func(_ *Options, c *Config) { c.Timeout = 50 * time.Millisecond })
	_, err := p.UploadFile(t.Context(), Upload{Size: 5_000_000, Content: &bottomless{}})
	require.NoError(t, err)
	_, err = p.UploadFile(t.Context(), upload("{}"))
	require.Equal(t, Timeout, AsError(err).Kind)
}

var errDisk = errors.New("disk")

func TestUploadWhoseContentFails(t *testing.T) {
	t.Parallel()
	p := upstream(t, answer(200, jsonType, `{"id":"file-1"}`))
	for name, tt := range map[string]struct {
		content io.Reader
		cause   error
	}{
		"cannot be read": {io.MultiReader(strings.NewReader("{}"), failing{}), errDisk},
		"is too short":   {strings.NewReader("{}"), io.ErrUnexpectedEOF},
	} {
		_, err := p.UploadFile(t.Context(), Upload{Name: "a", Size: 1 << 20, Content: tt.content})
		require.ErrorIs(t, err, tt.cause, name)
		require.Contains(t, AsError(err).Message, "could not be read", name)
		require.True(t, AsError(err).Retry)
	}
	for _, f := range []Upload{{Size: -1, Content: failing{}}, {Size: 1}} {
		_, err := p.UploadFile(t.Context(), f)
		require.Equal(t, Rejected, AsError(err).Kind)
	}
	id, err := p.UploadFile(t.Context(), Upload{Content: failing{}})
	require.NoError(t, err, "an empty file is not read at all")
	require.Equal(t, "file-1", id)
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errDisk }

// guarded fails the test when it is read after its upload has returned.
type guarded struct {
	t    *testing.T
	over atomic.Bool
}

func (g *guarded) Read(b []byte) (int, error) {
	if g.over.Load() {
		g.t.Error("read after the upload returned")
	}
	return len(b), nil
}

func TestUploadIsNotReadOnAfterARefusal(t *testing.T) {
	t.Parallel()
	for range 20 {
		content := &guarded{t: t}
		p := upstream(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.CopyN(io.Discard, r.Body, 1000)
			w.Header().Set("Content-Type", jsonType)
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			_ = http.NewResponseController(w).Flush()
			_, _ = io.CopyN(io.Discard, r.Body, 4<<20)
		})
		_, err := p.UploadFile(t.Context(), Upload{Name: "a", Size: 1 << 30, Content: content})
		content.over.Store(true)
		require.NotNil(t, AsError(err))
	}
}

func TestFindFile(t *testing.T) {
	t.Parallel()
	file := func(id, rest string) item { return item{id, rest} }
	const named, tune = `,"filename":"a.jsonl"`, `,"purpose":"fine-tune"`
	for _, tt := range []struct {
		name  string
		list  *feed
		want  string
		pages int
	}{
		{"the newest of a page", &feed{items: []item{file("f1", named+tune+`,"created_at":1`), file("f2", named+tune+`,"created_at":2`)}, max: 100}, "f2", 1},
		{"on a later page", &feed{items: append(numbered("f", 230), file("x", named+tune)), max: 100}, "x", 3},
		{"without its purpose", &feed{items: []item{file("x", named)}, max: 100}, "x", 1},
		{"for something else", &feed{items: []item{file("x", named+`,"purpose":"batch"`)}, max: 100}, "", 1},
		{"faulty", &feed{items: []item{file("x", named+tune+`,"status":"error"`)}, max: 100}, "", 1},
		{"another name", &feed{items: []item{file("x", `,"filename":"b.jsonl"`+tune), file("y", `,"filename":null`)}, max: 100}, "", 1},
		{"all at once though pages are asked for", &feed{items: append(numbered("f", 2500), file("x", named+tune)), max: 5000}, "x", 1},
		{"the same page for ever", &feed{items: numbered("f", 300), max: 100, deaf: true}, "", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			id, found, err := upstream(t, tt.list.ServeHTTP).FindFile(t.Context(), "a.jsonl", "fine-tune")
			require.NoError(t, err)
			require.Equal(t, tt.want != "", found)
			require.Equal(t, tt.want, id)
			require.Equal(t, tt.pages, tt.list.answered)
		})
	}
}
