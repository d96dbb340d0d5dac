package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/minio/minio-go/v7"
	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/jobs"
	"github.com/ringback/ringback/testservers"
)

// places are all that can keep files; open gives an empty one.
func places(t *testing.T) map[string]func(*testing.T) Files {
	t.Helper()
	server := startS3(t)
	return map[string]func(*testing.T) Files{
		"folder":    func(t *testing.T) Files { t.Helper(); return openFolder(t) },
		"versitygw": func(t *testing.T) Files { t.Helper(); return openS3(t, optionsOf(t, server)) },
		"gofakes3":  func(t *testing.T) Files { t.Helper(); return openS3(t, fakeS3(t)) },
	}
}

func startS3(t *testing.T) *testservers.S3 {
	t.Helper()
	server, err := testservers.StartS3()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	return server
}

// optionsOf names a prefix of the test's own in a server's bucket.
func optionsOf(t *testing.T, server *testservers.S3) S3Options {
	t.Helper()
	o, err := ParseS3(server.URL(testservers.Bucket + "/" + jobs.NewID("test-")))
	require.NoError(t, err)
	o.AccessKey, o.SecretKey = server.AccessKey, server.SecretKey
	return o
}

// fakeS3 is a second implementation; it checks no signatures and keeps its objects in memory.
func fakeS3(t *testing.T) S3Options {
	t.Helper()
	backend := s3mem.New()
	require.NoError(t, backend.CreateBucket("bucket"))
	server := httptest.NewUnstartedServer(gofakes3.New(backend).Server())
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.Start()
	t.Cleanup(server.Close)
	return S3Options{Bucket: "bucket", Endpoint: server.URL, AccessKey: "any", SecretKey: "thing"}
}

func openFolder(t *testing.T) *Folder {
	t.Helper()
	f, err := OpenFolder(filepath.Join(t.TempDir(), "files"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	return f
}

func openS3(t *testing.T, o S3Options) *S3 {
	t.Helper()
	s, err := OpenS3(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// TestFiles holds each place to the same promises.
func TestFiles(t *testing.T) {
	t.Parallel()
	for place, open := range places(t) {
		t.Run(place, func(t *testing.T) {
			for name, promise := range map[string]func(*testing.T, Files){
				"what is put can be opened":            opensWhatIsPut,
				"any length":                           keepsAnyLength,
				"a missing key":                        missesKeys,
				"a later put replaces":                 replaces,
				"a reader that fails":                  leavesNothingOfABrokenReader,
				"a caller who gives up":                leavesNothingOfACancelledPut,
				"a failed put changes nothing":         keepsWhatWasThere,
				"many at once":                         keepsManyAtOnce,
				"one key from many":                    keepsOneOfMany,
				"odd keys":                             keepsOddKeys,
				"no keys":                              refusesWhatIsNoKey,
				"older":                                listsWhatIsOlder,
				"the janitor":                          isCleanedByTheJanitor,
				"reading ends with its context":        endsReadingWithItsContext,
				"ping":                                 func(t *testing.T, f Files) { require.NoError(t, f.Ping(t.Context())) },
				"an unfinished put is of no great age": dropsNothingNew,
			} {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					promise(t, open(t))
				})
			}
		})
	}
}

func opensWhatIsPut(t *testing.T, f Files) {
	keep(t, f, "in/a", strings.NewReader("hello"))
	for offset, want := range map[int64]string{0: "hello", 2: "llo", 4: "o", 5: "", 6: "", 1000: ""} {
		require.Equal(t, want, content(t, f, "in/a", offset), offset)
	}
	_, err := f.Open(t.Context(), "in/a", -1)
	require.Error(t, err)
	require.NoError(t, f.Remove(t.Context(), "in/a"))
	require.NoError(t, f.Remove(t.Context(), "in/a"), "twice is no error")
	require.Empty(t, keysIn(t, f))
}

func keepsAnyLength(t *testing.T, f Files) {
	for _, length := range []int64{0, 1, partSize - 1, partSize, partSize + 1, 2 * partSize} {
		sent := newNoise(length)
		keep(t, f, "in/noise", sent)
		for _, offset := range []int64{0, length / 2} {
			want := newNoise(length)
			_, err := io.CopyN(io.Discard, want, offset)
			require.NoError(t, err)
			requireSame(t, want, contentOf(t, f, "in/noise", offset))
		}
	}
	require.Equal(t, []string{"in/noise"}, keysIn(t, f))
	requireFinished(t, f)
}

func missesKeys(t *testing.T, f Files) {
	_, err := f.Open(t.Context(), "in/none", 0)
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = f.Open(t.Context(), "in/none", 7)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NoError(t, f.Remove(t.Context(), "in/none"))
	require.NoError(t, f.Remove(t.Context(), "no/such/folder"))
}

func replaces(t *testing.T, f Files) {
	keep(t, f, "in/a", newNoise(partSize+1))
	keep(t, f, "in/a", strings.NewReader("short"))
	require.Equal(t, "short", content(t, f, "in/a", 0))
}

// The errors are those that broken request bodies have; one of them looks like an end.
func leavesNothingOfABrokenReader(t *testing.T, f Files) {
	for length, broken := range map[int64]error{
		0: io.ErrUnexpectedEOF, 10: errors.New("reset"), 100: fmt.Errorf("reset: %w", io.EOF), 1000: io.ErrUnexpectedEOF,
		partSize: io.ErrUnexpectedEOF, partSize + 10: fmt.Errorf("reset: %w", io.EOF),
	} {
		_, err := f.Put(t.Context(), "in/broken", io.MultiReader(newNoise(length), failing{broken}))
		require.ErrorIs(t, err, broken, "after %d bytes", length)
		require.False(t, jobs.IsCode(err, jobs.CodeUnavailable), "it was not the place that failed")
	}
	require.Empty(t, keysIn(t, f))
	requireFinished(t, f)
}

func leavesNothingOfACancelledPut(t *testing.T, f Files) {
	for _, length := range []int64{0, 10, partSize, partSize + 10} {
		ctx, cancel := context.WithCancel(t.Context())
		rest := &counter{r: newNoise(1 << 20)}
		_, err := f.Put(ctx, "in/cancelled", io.MultiReader(newNoise(length), acting(cancel), rest))
		require.ErrorIs(t, err, context.Canceled)
		require.Less(t, rest.n, int64(1<<20), "nobody reads on for it")
	}
	require.Empty(t, keysIn(t, f))
	requireFinished(t, f)
}

func keepsWhatWasThere(t *testing.T, f Files) {
	keep(t, f, "in/a", strings.NewReader("there"))
	for _, length := range []int64{10, partSize + 10} {
		_, err := f.Put(t.Context(), "in/a", io.MultiReader(newNoise(length), failing{io.ErrUnexpectedEOF}))
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	}
	require.Equal(t, "there", content(t, f, "in/a", 0))
}

func keepsManyAtOnce(t *testing.T, f Files) {
	var group sync.WaitGroup
	for i := range 32 {
		group.Go(func() {
			key := fmt.Sprintf("in/%d", i)
			if _, err := f.Put(t.Context(), key, strings.NewReader(key)); err != nil {
				t.Errorf("%s: %v", key, err)
			}
		})
	}
	group.Wait()
	require.Len(t, keysIn(t, f), 32)
	for i := range 32 {
		require.Equal(t, fmt.Sprintf("in/%d", i), content(t, f, fmt.Sprintf("in/%d", i), 0))
	}
}

func keepsOneOfMany(t *testing.T, f Files) {
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			if _, err := f.Put(t.Context(), "in/one", strings.NewReader(strings.Repeat(fmt.Sprint(i), 1000))); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	got := content(t, f, "in/one", 0)
	require.Equal(t, strings.Repeat(got[:1], 1000), got, "it is one of them, whole")
}

func keepsOddKeys(t *testing.T, f Files) {
	keys := []string{
		"in/a b", "in/a+b", "in/100%", "in/%41", "in/a?b=c&d", "in/a#b", `in/"quoted"`, "in/it's", "in/a;b:c,d=e", "in/<&>",
		"in/ä€😀", "in/[x]{y}|^`~", "in/...", "in/.hidden", "in/-", "in/*", "in/@!$()", "deep/er/and/deeper/still/x", "top",
	}
	for _, key := range keys {
		keep(t, f, key, strings.NewReader(key))
	}
	require.ElementsMatch(t, keys, keysIn(t, f))
	for _, key := range keys {
		require.Equal(t, key[1:], content(t, f, key, 1), key)
		require.NoError(t, f.Remove(t.Context(), key))
	}
	require.Empty(t, keysIn(t, f))
}

func refusesWhatIsNoKey(t *testing.T, f Files) {
	for _, key := range []string{"../out", "", ".", "in/../../out", "/etc/passwd"} {
		_, err := f.Put(t.Context(), key, strings.NewReader("x"))
		require.Error(t, err, key)
	}
	require.Empty(t, keysIn(t, f))
	requireFinished(t, f)
}

func listsWhatIsOlder(t *testing.T, f Files) {
	many := 1003 // more than a page of S3's
	if _, local := f.(*Folder); local {
		many = 20
	}
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for j := i; j < many; j += 8 {
				if _, err := f.Put(t.Context(), fmt.Sprintf("out/%d/x", j), strings.NewReader("")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	require.Len(t, keysIn(t, f), many)
	none, err := f.Older(t.Context(), time.Now().Add(-time.Hour))
	require.NoError(t, err)
	require.Empty(t, none)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = f.Older(ctx, time.Now())
	require.ErrorIs(t, err, context.Canceled)
}

// What is being written while the janitor comes by stays.
func dropsNothingNew(t *testing.T, f Files) {
	looked := false
	look := acting(func() {
		n, err := f.DropUnfinished(t.Context(), time.Now().Add(-time.Hour))
		require.NoError(t, err)
		require.Zero(t, n)
		looked = true
	})
	keep(t, f, "in/a", io.MultiReader(newNoise(partSize+1), look, newNoise(1)))
	require.True(t, looked)
}

func isCleanedByTheJanitor(t *testing.T, f Files) {
	s := openStore(t, t.TempDir())
	now := time.Now()
	s.options.Now = func() time.Time { return now }
	keep(t, f, "in/named", strings.NewReader("x"))
	keep(t, f, "in/orphan", strings.NewReader("x"))
	require.NoError(t, s.CreateFile(t.Context(), jobs.File{ProjectID: "default", ID: "named", Purpose: "batch", Blob: "in/named", CreatedAt: s.now()}, nil))
	leaveUnfinished(t, f)
	janitor := &Janitor{Store: s, Files: f, Log: slog.New(slog.DiscardHandler)}
	n, err := janitor.runOnce(t.Context())
	require.NoError(t, err)
	require.Zero(t, n, "it may still be coming in")
	now = now.Add(25 * time.Hour)
	n, err = janitor.runOnce(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2, n, "the orphan and the unfinished one")
	require.Equal(t, []string{"in/named"}, keysIn(t, f))
	requireFinished(t, f)
}

// leaveUnfinished leaves what a crash in the middle of a Put does.
func leaveUnfinished(t *testing.T, f Files) {
	t.Helper()
	switch f := f.(type) {
	case *Folder:
		_, err := f.spool(t.Context(), spoolDir+"/half", strings.NewReader("half"))
		require.NoError(t, err)
	case *S3:
		id, err := f.core.NewMultipartUpload(t.Context(), f.bucket, f.prefix+"in/half", minio.PutObjectOptions{})
		require.NoError(t, err)
		u := upload{s: f, name: f.prefix + "in/half", id: id}
		require.NoError(t, u.send(t.Context(), &partBuffer{[]byte("half")}))
	}
}

func endsReadingWithItsContext(t *testing.T, f Files) {
	if _, local := f.(*Folder); local {
		return // a read of a disk has no end to wait for
	}
	keep(t, f, "in/a", newNoise(partSize))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := f.Open(ctx, "in/a", 0)
	require.NoError(t, err)
	defer r.Close()
	_, err = io.CopyN(io.Discard, r, 100)
	require.NoError(t, err)
	cancel()
	_, err = io.Copy(io.Discard, r)
	require.ErrorIs(t, err, context.Canceled)
}

// TestLongFilesTakeLittleMemory runs alone: it counts what the whole process allocates.
func TestLongFilesTakeLittleMemory(t *testing.T) { //nolint:paralleltest // see above
	open := places(t)
	for _, place := range []string{"folder", "versitygw"} { // the other keeps its objects in this process
		t.Run(place, func(t *testing.T) {
			f := open[place](t)
			const length = 100_000_000
			allocated := allocating(func() { keep(t, f, "in/long", newNoise(length)) })
			require.Less(t, allocated, uint64(3*partSize), "putting")
			allocated = allocating(func() { requireSame(t, newNoise(length), contentOf(t, f, "in/long", 0)) })
			require.Less(t, allocated, uint64(4<<20), "reading")
		})
	}
}

func allocating(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestSpoolOfACrashIsEmptied(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f, err := OpenFolder(dir)
	require.NoError(t, err)
	leaveUnfinished(t, f)
	require.Len(t, filesIn(t, dir), 1)
	require.NoError(t, f.Close())
	f, err = OpenFolder(dir)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	require.Empty(t, filesIn(t, dir))
}

func keep(t *testing.T, f Files, key string, r io.Reader) {
	t.Helper()
	counted := &counter{r: r}
	n, err := f.Put(t.Context(), key, counted)
	require.NoError(t, err, key)
	require.Equal(t, counted.n, n, key)
}

func contentOf(t *testing.T, f Files, key string, offset int64) io.ReadCloser {
	t.Helper()
	r, err := f.Open(t.Context(), key, offset)
	require.NoError(t, err, key)
	return r
}

func content(t *testing.T, f Files, key string, offset int64) string {
	t.Helper()
	r := contentOf(t, f, key, offset)
	got, err := io.ReadAll(r)
	require.NoError(t, errors.Join(err, r.Close()), key)
	return string(got)
}

func keysIn(t *testing.T, f Files) []string {
	t.Helper()
	keys, err := f.Older(t.Context(), time.Now().Add(time.Hour))
	require.NoError(t, err)
	return keys
}

// requireFinished: nothing stands in a spool, and no upload is open.
func requireFinished(t *testing.T, f Files) {
	t.Helper()
	n, err := f.DropUnfinished(t.Context(), time.Now().Add(time.Hour))
	require.NoError(t, err)
	require.Zero(t, n)
}

func requireSame(t *testing.T, want io.Reader, got io.ReadCloser) {
	t.Helper()
	wantSum, gotSum := sumOf(t, want), sumOf(t, got)
	require.NoError(t, got.Close())
	require.Equal(t, wantSum, gotSum)
}

func sumOf(t *testing.T, r io.Reader) string {
	t.Helper()
	h := sha256.New()
	n, err := io.Copy(h, r)
	require.NoError(t, err)
	return fmt.Sprintf("%d bytes, %x", n, h.Sum(nil))
}

// newNoise gives so many bytes, always the same, in pieces of odd lengths.
func newNoise(length int64) io.Reader {
	return io.LimitReader(&pieces{rand.NewChaCha8([32]byte{})}, length)
}

type pieces struct{ r io.Reader }

func (p *pieces) Read(b []byte) (int, error) { return p.r.Read(b[:min(len(b), 30_011)]) }

type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// acting is an empty body that does something when it is read.
type acting func()

func (do acting) Read([]byte) (int, error) {
	do()
	return 0, io.EOF
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
