package jobs_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/jobs"
	"github.com/ringback/ringback/store"
)

// lossy is a store that loses the answer to the next commit that names bytes. It stands, or it does not.
type lossy struct {
	*store.Store
	stands bool
	armed  atomic.Bool
}

var errLost = &jobs.Error{Code: jobs.CodeUnavailable, Message: "it may stand or not", Err: jobs.ErrUnknown}

// lose makes a write whose answer is lost if it is the one.
func (l *lossy) lose(write func() error) error {
	if !l.armed.CompareAndSwap(true, false) {
		return write()
	}
	if l.stands {
		if err := write(); err != nil {
			return err
		}
	}
	return errLost
}

func (l *lossy) CreateFile(ctx context.Context, f jobs.File, idem *jobs.Idempotency) error {
	return l.lose(func() error { return l.Store.CreateFile(ctx, f, idem) })
}

func (l *lossy) CreateJob(ctx context.Context, n jobs.NewJob) (woken jobs.Woken, err error) {
	return woken, l.lose(func() error {
		woken, err = l.Store.CreateJob(ctx, n)
		return err
	})
}

func (l *lossy) MoveUpload(ctx context.Context, ref jobs.Ref, idem *jobs.Idempotency, move func(*jobs.Upload) (jobs.UploadEffects, error)) (u jobs.UploadSnapshot, err error) {
	return u, l.lose(func() error {
		u, err = l.Store.MoveUpload(ctx, ref, idem, move)
		return err
	})
}

// Move loses the answer where files commit with the job.
func (l *lossy) Move(ctx context.Context, ref jobs.Ref, move func(*jobs.Job) (jobs.Effects, error)) (s jobs.Snapshot, woken jobs.Woken, err error) {
	lost := false
	s, woken, err = l.Store.Move(ctx, ref, func(j *jobs.Job) (jobs.Effects, error) {
		fx, err := move(j)
		if err == nil && len(fx.Files) > 0 && l.armed.CompareAndSwap(true, false) {
			if lost = true; !l.stands {
				return fx, errLost
			}
		}
		return fx, err
	})
	if lost {
		return s, woken, errLost
	}
	return s, woken, err
}

// lossyOnEach runs a test with a commit that stands, and with one that does not.
func lossyOnEach(t *testing.T, test func(t *testing.T, stands bool)) {
	t.Helper()
	for name, stands := range map[string]bool{"it stands": true, "it does not stand": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, stands)
		})
	}
}

// requireBytes says that each file that clients see can be read, and that there is one.
func (x *exchange) requireBytes() {
	x.t.Helper()
	page, _, err := x.store.Files(x.t.Context(), jobs.FileQuery{ProjectID: "default", Limit: 100})
	require.NoError(x.t, err)
	require.NotEmpty(x.t, page)
	for _, f := range page {
		_, content, err := x.service.FileContent(x.t.Context(), jobs.Ref{ProjectID: "default", ID: f.ID})
		require.NoError(x.t, err, "the bytes of %s", f.Filename)
		text, err := io.ReadAll(content)
		require.NoError(x.t, errors.Join(err, content.Close()))
		require.Len(x.t, text, int(f.Bytes))
	}
}

// TestBytesThatARowMayNameStay: sent again with its key, what stands is answered, and it is whole.
func TestBytesThatARowMayNameStay(t *testing.T) {
	t.Parallel()
	key := &jobs.Idempotency{Key: "k", Hash: []byte("h")}
	var replay *jobs.Replay
	t.Run("a file", func(t *testing.T) {
		t.Parallel()
		lossyOnEach(t, func(t *testing.T, stands bool) {
			x := newExchange(t)
			l := &lossy{Store: x.store, stands: stands}
			x.service.Records = l
			keep := func() error {
				sp, err := x.service.Spool(t.Context(), strings.NewReader("abc"))
				require.NoError(t, err)
				_, err = x.service.KeepFile(t.Context(), sp, jobs.NewFile{ProjectID: "default", Filename: "a.txt", Purpose: "user_data", Idempotency: key})
				return err
			}
			l.armed.Store(true)
			require.ErrorIs(t, keep(), jobs.ErrUnknown)
			require.Equal(t, stands, errors.As(keep(), &replay))
			x.requireBytes()
		})
	})
	t.Run("a batch's own requests", func(t *testing.T) {
		t.Parallel()
		lossyOnEach(t, func(t *testing.T, stands bool) {
			x := newExchange(t)
			l := &lossy{Store: x.store, stands: stands}
			x.service.Records = l
			create := func() (jobs.Snapshot, error) {
				n := jobs.NewBatch{
					Submission: submitted(nil), Path: "/v1/chat/completions", CompletionWindow: "24h",
					Requests: []jobs.BatchRequest{{Body: []byte(`{"model":"m1","messages":[]}`)}},
				}
				n.Idempotency = key
				return x.service.CreateBatch(t.Context(), n)
			}
			l.armed.Store(true)
			_, err := create()
			require.ErrorIs(t, err, jobs.ErrUnknown)
			_, err = create()
			require.Equal(t, stands, errors.As(err, &replay))
			all, _, err := x.store.Jobs(t.Context(), jobs.JobQuery{ProjectID: "default", Limit: 10})
			require.NoError(t, err)
			require.Len(t, all, 1)
			done := x.settle(all[0].Ref())
			require.Equal(t, jobs.Completed, done.Status, "%s", done.Object())
			x.requireBytes()
		})
	})
	t.Run("an upload", func(t *testing.T) {
		t.Parallel()
		lossyOnEach(t, func(t *testing.T, stands bool) {
			d := newDrop(t)
			l := &lossy{Store: d.store, stands: stands}
			d.service.Records = l
			ref := d.begin(2)
			l.armed.Store(true)
			_, err := d.add(ref, "ab", key)
			require.ErrorIs(t, err, jobs.ErrUnknown)
			_, err = d.add(ref, "ab", key)
			require.Equal(t, stands, errors.As(err, &replay))
			parts, err := d.store.UploadParts(t.Context(), ref)
			require.NoError(t, err)
			require.Len(t, parts, 1)
			l.armed.Store(true)
			_, err = d.complete(ref, parts[0].ID)
			require.ErrorIs(t, err, jobs.ErrUnknown)
			u, err := d.complete(ref, parts[0].ID)
			require.NoError(t, err)
			require.Equal(t, "ab", d.content(u.File))
		})
	})
}

// TestOutputThatARowMayNameStays: the next try finds that the batch has ended, or ends it.
func TestOutputThatARowMayNameStays(t *testing.T) {
	t.Parallel()
	lossyOnEach(t, func(t *testing.T, stands bool) {
		x := newExchange(t)
		l := &lossy{Store: x.store, stands: stands}
		x.runner.Store = l
		l.armed.Store(true)
		ref := x.batch(requests(3))
		done := x.settle(ref)
		require.False(t, l.armed.Load())
		require.Equal(t, jobs.Completed, done.Status)
		require.Equal(t, []string{"r1", "r2", "r3"}, x.ids(done.OutputFileID))
		x.later(time.Minute)
		require.Zero(t, x.sweep(), "nothing is left to do")
		require.Equal(t, done.Job, x.job(ref).Job)
		x.requireBytes()
	})
}

// TestResultFilesThatARowMayNameStay of a fine-tuning.
func TestResultFilesThatARowMayNameStay(t *testing.T) {
	t.Parallel()
	lossyOnEach(t, func(t *testing.T, stands bool) {
		s := newSchool(t)
		l := &lossy{Store: s.store, stands: stands}
		s.work.Store = l
		l.armed.Store(true)
		done := s.end(s.tuning(""))
		require.False(t, l.armed.Load())
		require.Equal(t, jobs.Succeeded, done.Status, "%s", done.Object())
		require.NotEmpty(t, done.Tuning.ResultFiles)
		s.requireBytes()
	})
}
