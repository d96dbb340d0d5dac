package jobs_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/jobs"
)

// drop is an exchange that takes uploads; a test can step in where bytes are written and read.
type drop struct {
	*exchange
	service *jobs.Service
	onPut   func(key string) error // before bytes are kept
	onOpen  func(key string)
	mu      sync.Mutex
	read    []string // blobs of parts, as they were opened
	open    int      // of them now
	most    int
}

func newDrop(t *testing.T) *drop {
	t.Helper()
	d := &drop{exchange: newExchange(t)}
	d.service = jobs.NewService(jobs.ServiceOptions{
		Records: d.store, Blobs: d, Waker: nobody{}, Watchers: jobs.NewWatchers(), Now: func() time.Time { return d.now() },
		Limits: jobs.Limits{BatchBytes: 1 << 20, FileBytes: 10, UploadBytes: 64 << 20, UploadPartBytes: 4 << 20},
	})
	return d
}

func (d *drop) Put(ctx context.Context, key string, r io.Reader) (int64, error) {
	n, err := d.files.Put(ctx, key, r)
	if d.onPut != nil && err == nil {
		err = d.onPut(key)
	}
	return n, err
}

func (d *drop) Open(ctx context.Context, key string, offset int64) (io.ReadCloser, error) {
	if d.onOpen != nil {
		d.onOpen(key)
	}
	r, err := d.files.Open(ctx, key, offset)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.read, d.open = append(d.read, key), d.open+1
	d.most = max(d.most, d.open)
	return counted{r, d}, nil
}

func (d *drop) Remove(ctx context.Context, key string) error { return d.files.Remove(ctx, key) }

type counted struct {
	io.ReadCloser
	d *drop
}

func (c counted) Close() error {
	c.d.mu.Lock()
	c.d.open--
	c.d.mu.Unlock()
	return c.ReadCloser.Close()
}

func (d *drop) begin(size int, change ...func(*jobs.NewUpload)) jobs.Ref {
	d.t.Helper()
	n := jobs.NewUpload{ProjectID: "default", Filename: "a.jsonl", Purpose: "user_data", MimeType: "text/plain", Bytes: int64(size)}
	for _, c := range change {
		c(&n)
	}
	u, err := d.service.CreateUpload(d.t.Context(), n)
	require.NoError(d.t, err)
	require.Equal(d.t, jobs.UploadPending, u.Status)
	return u.Ref()
}

func (d *drop) add(ref jobs.Ref, text string, idem ...*jobs.Idempotency) (jobs.UploadPart, error) {
	sp, err := d.service.SpoolPart(d.t.Context(), strings.NewReader(text))
	if err != nil {
		return jobs.UploadPart{}, err
	}
	return d.service.AddPart(d.t.Context(), ref, sp, append(idem, nil)[0])
}

func (d *drop) part(ref jobs.Ref, text string) string {
	d.t.Helper()
	p, err := d.add(ref, text)
	require.NoError(d.t, err)
	return p.ID
}

func (d *drop) complete(ref jobs.Ref, ids ...string) (jobs.UploadSnapshot, error) {
	return d.service.CompleteUpload(d.t.Context(), jobs.UploadEnd{Ref: ref, PartIDs: ids})
}

func (d *drop) content(f *jobs.File) string {
	d.t.Helper()
	require.NotNil(d.t, f)
	_, r, err := d.service.FileContent(d.t.Context(), jobs.Ref{ProjectID: "default", ID: f.ID})
	require.NoError(d.t, err)
	defer r.Close()
	text, err := io.ReadAll(r)
	require.NoError(d.t, err)
	return string(text)
}

// blobs are all keys in the file store.
func (d *drop) blobs() []string {
	d.t.Helper()
	keys, err := d.files.Older(d.t.Context(), time.Now().Add(time.Hour))
	require.NoError(d.t, err)
	return keys
}

func (d *drop) status(ref jobs.Ref) jobs.UploadStatus {
	d.t.Helper()
	u, err := d.store.Upload(d.t.Context(), ref)
	require.NoError(d.t, err)
	return u.Status
}

// TestPartsInParallelMakeTheWhole: 20 parts, side by side and in any order, are the source again, byte for byte.
func TestPartsInParallelMakeTheWhole(t *testing.T) {
	t.Parallel()
	d := newDrop(t)
	random := rand.NewChaCha8([32]byte{1})
	var parts [20]string
	var whole bytes.Buffer
	for i := range parts {
		piece := make([]byte, 100_000+i*31_337)
		_, _ = random.Read(piece)
		parts[i] = string(piece)
		whole.Write(piece)
	}
	ref := d.begin(whole.Len(), func(n *jobs.NewUpload) { n.TTL = 2 * time.Hour })
	var ids [20]string
	var sent sync.WaitGroup
	for _, i := range rand.Perm(len(parts)) {
		sent.Go(func() {
			p, err := d.add(ref, parts[i])
			if err == nil {
				ids[i] = p.ID
			}
		})
	}
	sent.Wait()
	require.NotContains(t, ids[:], "")
	sum := md5.Sum(whole.Bytes())
	u, err := d.service.CompleteUpload(t.Context(), jobs.UploadEnd{Ref: ref, PartIDs: ids[:], MD5: strings.ToUpper(hex.EncodeToString(sum[:]))})
	require.NoError(t, err)
	require.Equal(t, jobs.UploadCompleted, u.Status)
	require.Equal(t, 1, d.most, "one part is open at a time")
	require.Zero(t, d.open)
	require.Len(t, d.read, 20)
	require.True(t, whole.String() == d.content(u.File))
	require.Equal(t, u.File.CreatedAt.Add(2*time.Hour), u.File.ExpiresAt)
	require.Equal(t, []string{u.File.Blob}, d.blobs(), "the parts are gone")

	events, _, err := d.store.Events(t.Context(), "default", "", 10)
	require.NoError(t, err)
	require.Len(t, events, 1)
	require.Equal(t, jobs.FileCreated, events[0].Type)
	require.Contains(t, string(events[0].Body), u.File.ID)

	again, err := d.complete(ref, ids[:]...)
	require.NoError(t, err)
	require.Equal(t, string(u.Object()), string(again.Object()))
	require.Len(t, d.blobs(), 1)
}

// TestARefusedCompletionLeavesAllAsItWas: the upload is pending, its parts stand, and no other bytes do.
func TestARefusedCompletionLeavesAllAsItWas(t *testing.T) {
	t.Parallel()
	wrong, garbled := strings.Repeat("0", 32), strings.Repeat("x", 32)
	for _, row := range []struct {
		name, purpose, text, md5, param, say string
	}{
		{"another md5", "user_data", "hello", wrong, "md5", "have the MD5 5d41402abc4b2a76b9719d911017c592, not 00000000"},
		{"no md5", "user_data", "hello", garbled, "md5", "32 hexadecimal digits"},
		{"a short md5", "user_data", "hello", "00", "md5", "32 hexadecimal digits"},
		{"no batch", "batch", "hello", "", "file", "first line is not a JSON object"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			d := newDrop(t)
			ref := d.begin(len(row.text), func(n *jobs.NewUpload) { n.Purpose = row.purpose })
			id := d.part(ref, row.text)
			before := d.blobs()
			_, err := d.service.CompleteUpload(t.Context(), jobs.UploadEnd{Ref: ref, PartIDs: []string{id}, MD5: row.md5})
			var e *jobs.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, row.param, e.Param)
			require.Contains(t, e.Message, row.say)
			require.Equal(t, jobs.UploadPending, d.status(ref))
			require.Equal(t, before, d.blobs())
		})
	}
}

// TestOfTwoCompletionsOneMakesTheFile: both have written their bytes before either commits.
// TestOfTwoCompletionsOneMakesTheFile: they are two processes'.
func TestOfTwoCompletionsOneMakesTheFile(t *testing.T) {
	t.Parallel()
	for name, same := range map[string]bool{"the same parts": true, "another order": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDrop(t)
			ref := d.begin(4)
			a, b := d.part(ref, "ab"), d.part(ref, "cd")
			orders := [2][]string{{a, b}, {a, b}}
			if !same {
				orders[1] = []string{b, a}
			}
			var both sync.WaitGroup
			both.Add(2)
			d.onPut = func(key string) error {
				both.Done()
				both.Wait()
				return nil
			}
			var ended sync.WaitGroup
			var got [2]jobs.UploadSnapshot
			var errs [2]error
			for i := range 2 {
				process := jobs.NewService(d.service.ServiceOptions)
				ended.Go(func() {
					got[i], errs[i] = process.CompleteUpload(t.Context(), jobs.UploadEnd{Ref: ref, PartIDs: orders[i]})
				})
			}
			ended.Wait()
			if same {
				require.NoError(t, errors.Join(errs[:]...))
				require.Equal(t, string(got[0].Object()), string(got[1].Object()))
			} else {
				require.True(t, (errs[0] == nil) != (errs[1] == nil), "%v", errs)
				require.ErrorContains(t, errors.Join(errs[:]...), "'completed'")
			}
			u, err := d.store.Upload(t.Context(), ref)
			require.NoError(t, err)
			require.Equal(t, []string{u.File.Blob}, d.blobs(), "the other's bytes are gone")
			events, _, err := d.store.Events(t.Context(), "default", "", 10)
			require.NoError(t, err)
			require.Len(t, events, 1)
		})
	}
}

// TestACompletionIsWrittenOnceAtATime: who comes beside it is told to come back, and then is answered the same.
func TestACompletionIsWrittenOnceAtATime(t *testing.T) {
	t.Parallel()
	d := newDrop(t)
	ref, other := d.begin(2), d.begin(2)
	part, others := d.part(ref, "ab"), d.part(other, "cd")
	writing, write := make(chan struct{}), make(chan struct{})
	var puts atomic.Int64
	d.onPut = func(string) error {
		if puts.Add(1) == 1 {
			close(writing)
			<-write
		}
		return nil
	}
	var first jobs.UploadSnapshot
	var ended sync.WaitGroup
	ended.Go(func() { first, _ = d.complete(ref, part) })
	<-writing
	for range 5 {
		_, err := d.complete(ref, part)
		require.True(t, jobs.IsCode(err, jobs.CodeCompleting), "%v", err)
	}
	require.Equal(t, int64(1), puts.Load())
	_, err := d.complete(other, others)
	require.NoError(t, err, "another upload is not held up")
	close(write)
	ended.Wait()
	again, err := d.complete(ref, part)
	require.NoError(t, err)
	require.Equal(t, string(first.Object()), string(again.Object()))
}

// TestAnUploadThatEndsUnderItsCompletion: how it ended is the answer, whatever became of the bytes in the middle.
func TestAnUploadThatEndsUnderItsCompletion(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		end  func(d *drop, ref jobs.Ref, ids []string) error
		say  string // empty: it is answered as the other was
	}{
		{"cancelled", func(d *drop, ref jobs.Ref, _ []string) error {
			_, err := d.service.CancelUpload(d.t.Context(), ref)
			return err
		}, "'cancelled'"},
		{"completed", func(d *drop, ref jobs.Ref, ids []string) error {
			another := jobs.NewService(d.service.ServiceOptions) // process
			_, err := another.CompleteUpload(d.t.Context(), jobs.UploadEnd{Ref: ref, PartIDs: ids})
			return err
		}, ""},
		{"expired", func(d *drop, _ jobs.Ref, _ []string) error {
			d.later(jobs.UploadTTL)
			return nil
		}, "'expired'"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			d := newDrop(t)
			ref := d.begin(4)
			ids := []string{d.part(ref, "ab"), d.part(ref, "cd")}
			opened := 0
			d.onOpen = func(string) {
				if opened++; opened == 2 {
					require.NoError(t, row.end(d, ref, ids))
				}
			}
			u, err := d.complete(ref, ids...)
			if row.say != "" {
				require.True(t, jobs.IsCode(err, jobs.CodeInvalid), "%v", err)
				require.ErrorContains(t, err, row.say)
			} else {
				require.NoError(t, err)
				require.Equal(t, "abcd", d.content(u.File))
			}
			files := 0
			for _, key := range d.blobs() {
				if strings.HasPrefix(key, "in/") {
					files++
				}
			}
			require.Equal(t, row.say == "", files == 1, "%v", d.blobs())
		})
	}
}

// TestACrashLeavesNoHalfUpload: whatever stood in the file store without a row, the rows tell the truth, and the client
// goes on.
func TestACrashLeavesNoHalfUpload(t *testing.T) {
	t.Parallel()
	d := newDrop(t)
	ref := d.begin(2)
	crash := errors.New("the process has ended")
	d.onPut = func(string) error { return crash } // the bytes stand, and nothing after that happens
	_, err := d.add(ref, "ab")
	require.ErrorIs(t, err, crash)
	require.Len(t, d.blobs(), 1)
	d.onPut = nil
	id := d.part(ref, "ab")
	require.Len(t, d.blobs(), 2)

	d.onPut = func(string) error { return crash }
	_, err = d.complete(ref, id)
	require.ErrorIs(t, err, crash)
	require.Equal(t, jobs.UploadPending, d.status(ref))
	d.onPut = nil
	u, err := d.complete(ref, id)
	require.NoError(t, err)
	require.Equal(t, "ab", d.content(u.File))
}

func TestUploadsThatAreRepeatedWithAKey(t *testing.T) {
	t.Parallel()
	d := newDrop(t)
	key := func(name, over string) *jobs.Idempotency { return &jobs.Idempotency{Key: name, Hash: []byte(over)} }
	n := jobs.NewUpload{ProjectID: "default", Filename: "a", Purpose: "user_data", MimeType: "x", Bytes: 2, Idempotency: key("c", "1")}
	created, err := d.service.CreateUpload(t.Context(), n)
	require.NoError(t, err)
	_, err = d.service.CreateUpload(t.Context(), n)
	requireReplay(t, created.Object(), err)
	ref := created.Ref()

	p, err := d.add(ref, "ab", key("p", "1"))
	require.NoError(t, err)
	_, err = d.add(ref, "ab", key("p", "1"))
	requireReplay(t, p.Object(), err)
	_, err = d.add(ref, "cd", key("p", "2"))
	require.True(t, jobs.IsCode(err, jobs.CodeKeyReused), "%v", err)
	require.Len(t, d.blobs(), 1, "one part")

	end := jobs.UploadEnd{Ref: ref, PartIDs: []string{p.ID}, Idempotency: key("e", "1")}
	u, err := d.service.CompleteUpload(t.Context(), end)
	require.NoError(t, err)
	_, err = d.service.CompleteUpload(t.Context(), end)
	requireReplay(t, u.Object(), err)
	end.PartIDs, end.Idempotency = []string{"x"}, key("e", "2")
	_, err = d.service.CompleteUpload(t.Context(), end)
	require.True(t, jobs.IsCode(err, jobs.CodeKeyReused), "%v", err)
	_, err = d.add(ref, "ab", key("p", "1"))
	requireReplay(t, p.Object(), err)
	_, err = d.add(ref, "ab", key("q", "1"))
	require.ErrorContains(t, err, "'completed'")
	_, err = d.add(ref, "ab", key("q", "2"))
	require.ErrorContains(t, err, "'completed'", "a refused request does not use its key up")
	require.Len(t, d.blobs(), 1)
}

func requireReplay(t *testing.T, want []byte, err error) {
	t.Helper()
	var replay *jobs.Replay
	require.ErrorAs(t, err, &replay)
	require.Equal(t, string(want), string(replay.Answer))
}

func TestPartsThatAreRefusedLeaveNoBytes(t *testing.T) {
	t.Parallel()
	d := newDrop(t)
	ref := d.begin(1)
	for _, row := range []struct {
		name string
		ref  jobs.Ref
		text string
		code jobs.Code
	}{
		{"0 bytes", ref, "", jobs.CodeInvalid},
		{"too long", ref, strings.Repeat("x", 4<<20+1), jobs.CodeTooLarge},
		{"of no upload", jobs.Ref{ProjectID: "default", ID: "upload_x"}, "x", jobs.CodeNotFound},
		{"of another project's", jobs.Ref{ProjectID: "other", ID: ref.ID}, "x", jobs.CodeNotFound},
	} {
		_, err := d.add(row.ref, row.text)
		require.True(t, jobs.IsCode(err, row.code), "%s: %v", row.name, err)
		require.Empty(t, d.blobs(), row.name)
	}
	d.part(ref, strings.Repeat("x", 4<<20))
	for i := range 3 {
		_, err := d.add(ref, "xy")
		require.ErrorContains(t, err, fmt.Sprint(4<<20+2), "try %d", i)
	}
	require.Len(t, d.blobs(), 1)
	require.NoError(t, d.service.TakesParts(t.Context(), ref))
	u, err := d.service.CancelUpload(t.Context(), ref)
	require.NoError(t, err)
	require.Equal(t, jobs.UploadCancelled, u.Status)
	require.ErrorContains(t, d.service.TakesParts(t.Context(), ref), "'cancelled'")
	require.Empty(t, d.blobs())
}

// unsure is a store whose uploads' moves fail at the very end.
type unsure struct{ jobs.Records }

var errCommit = errors.New("the disk is full")

func (u unsure) MoveUpload(ctx context.Context, ref jobs.Ref, idem *jobs.Idempotency, move func(*jobs.Upload) (jobs.UploadEffects, error)) (jobs.UploadSnapshot, error) {
	return u.Records.MoveUpload(ctx, ref, idem, func(row *jobs.Upload) (jobs.UploadEffects, error) {
		effects, err := move(row)
		return effects, errors.Join(err, errCommit)
	})
}

func TestACompletionThatCannotBeKeptLeavesNoBytes(t *testing.T) {
	t.Parallel()
	d := newDrop(t)
	ref := d.begin(2)
	id := d.part(ref, "ab")
	before := d.blobs()
	d.service.Records = unsure{d.store}
	_, err := d.complete(ref, id)
	require.ErrorIs(t, err, errCommit)
	require.Equal(t, before, d.blobs())
	_, err = d.add(ref, "cd")
	require.ErrorIs(t, err, errCommit)
	require.Equal(t, before, d.blobs())
	_, err = d.service.CancelUpload(t.Context(), ref)
	require.ErrorIs(t, err, errCommit)
	require.Equal(t, before, d.blobs(), "a pending upload keeps its parts")
	require.Equal(t, jobs.UploadPending, d.status(ref))
}

// TestLostBytesAreNoReasonToTryAgain: who reads that its part is gone is not told that the disk is full.
func TestLostBytesAreNoReasonToTryAgain(t *testing.T) {
	t.Parallel()
	d := newDrop(t)
	ref := d.begin(2)
	id := d.part(ref, "ab")
	require.NoError(t, d.files.Remove(t.Context(), d.blobs()[0]))
	_, err := d.complete(ref, id)
	require.ErrorContains(t, err, "cannot read the bytes of "+id)
	require.False(t, jobs.IsCode(err, jobs.CodeUnavailable))
	require.Empty(t, d.blobs())
}
