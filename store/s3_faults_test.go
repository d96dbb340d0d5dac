package store

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/jobs"
)

// Lengths of bodies that take one request, and several.
const short, long = 1000, partSize + 1000

// tooLong bounds what may not hang: many times what the options of these tests allow.
const tooLong = 20 * time.Second

// impatient are the options of a server that is given up soon.
func impatient(o S3Options) S3Options {
	o.Stall = 400 * time.Millisecond
	return o
}

func requireUnavailable(t *testing.T, err error) {
	t.Helper()
	require.Error(t, err)
	require.True(t, jobs.IsCode(err, jobs.CodeUnavailable), err)
}

func TestS3IsKilledDuringAPut(t *testing.T) {
	t.Parallel()
	for _, length := range []int64{short, long} {
		t.Run(fmt.Sprint(length), func(t *testing.T) {
			t.Parallel()
			server := startS3(t)
			s := openS3(t, optionsOf(t, server))
			keep(t, s, "in/before", strings.NewReader("before"))
			kill := acting(func() { require.NoError(t, server.Kill()) })
			_, err := s.Put(t.Context(), "in/a", io.MultiReader(newNoise(length), kill, newNoise(length)))
			requireUnavailable(t, err)
			requireUnavailable(t, s.Remove(t.Context(), "in/a"))
			require.Error(t, s.Ping(t.Context()))
			_, err = s.Open(t.Context(), "in/before", 0)
			requireUnavailable(t, err)

			require.NoError(t, server.Start())
			require.NoError(t, s.Ping(t.Context()))
			require.Equal(t, []string{"in/before"}, keysIn(t, s))
			require.Equal(t, "before", content(t, s, "in/before", 0))
			_, err = s.DropUnfinished(t.Context(), time.Now().Add(time.Hour)) // of the longer one, by the janitor
			require.NoError(t, err)
			requireFinished(t, s)
			keep(t, s, "in/a", newNoise(length))
			requireSame(t, newNoise(length), contentOf(t, s, "in/a", 0))
		})
	}
}

func TestS3IsKilledDuringARead(t *testing.T) {
	t.Parallel()
	server := startS3(t)
	s := openS3(t, optionsOf(t, server))
	keep(t, s, "in/a", newNoise(4*partSize))
	r := contentOf(t, s, "in/a", 0)
	var got bytes.Buffer
	_, err := io.CopyN(&got, r, 1<<20)
	require.NoError(t, err)
	require.NoError(t, server.Kill())
	require.NoError(t, server.Start())
	_, err = io.Copy(&got, r)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.Equal(t, sumOf(t, newNoise(4*partSize)), sumOf(t, &got))
}

func TestS3StaysAwayDuringARead(t *testing.T) {
	t.Parallel()
	server := startS3(t)
	s := openS3(t, impatient(optionsOf(t, server)))
	keep(t, s, "in/a", newNoise(4*partSize))
	r := contentOf(t, s, "in/a", 0)
	require.NoError(t, server.Kill())
	began := time.Now()
	_, err := io.Copy(io.Discard, r)
	requireUnavailable(t, err)
	require.Less(t, time.Since(began), tooLong)
	require.NoError(t, r.Close())

	require.NoError(t, server.Start())
	r = contentOf(t, s, "in/a", 0)
	require.NoError(t, server.Kill())
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = s.Open(ctx, "in/a", 0)
	require.ErrorIs(t, err, context.DeadlineExceeded, "the caller's patience counts")
	require.NoError(t, r.Close())
}

// Nothing moves, but every connection stands.
func TestS3Stalls(t *testing.T) {
	t.Parallel()
	server := startS3(t)
	s := openS3(t, impatient(optionsOf(t, server)))
	keep(t, s, "in/a", newNoise(4*partSize))
	r := contentOf(t, s, "in/a", 0)
	began := time.Now()
	pause := acting(func() { require.NoError(t, server.Pause()) })
	for _, length := range []int64{short, long} {
		_, err := s.Put(t.Context(), "in/b", io.MultiReader(newNoise(length), pause, newNoise(length)))
		requireUnavailable(t, err)
		pause = func() {}
	}
	require.Error(t, s.Ping(t.Context()))
	_, err := io.Copy(io.Discard, r)
	requireUnavailable(t, err)
	require.Less(t, time.Since(began), 2*tooLong)
	require.NoError(t, r.Close())
}

func TestS3StallsForAWhileDuringARead(t *testing.T) {
	t.Parallel()
	server := startS3(t)
	o := optionsOf(t, server)
	o.Stall = 2 * time.Second
	s := openS3(t, o)
	keep(t, s, "in/a", newNoise(4*partSize))
	r := contentOf(t, s, "in/a", 0)
	require.NoError(t, server.Pause())
	resumed := time.AfterFunc(3*time.Second, func() { _ = server.Resume() })
	defer resumed.Stop()
	requireSame(t, newNoise(4*partSize), r)
}

// Each connection breaks after some bytes, so the object comes in pieces.
func TestS3ReadGoesOnWhereItBroke(t *testing.T) {
	t.Parallel()
	o := optionsOf(t, startS3(t))
	w := throughWire(t, &o)
	s := openS3(t, o)
	keep(t, s, "in/a", newNoise(2*partSize))
	for _, offset := range []int64{0, 12345} {
		s.transport.CloseIdleConnections()
		before := w.conns.Load()
		w.down.Store(5 << 20)
		want := newNoise(2 * partSize)
		_, err := io.CopyN(io.Discard, want, offset)
		require.NoError(t, err)
		requireSame(t, want, contentOf(t, s, "in/a", offset))
		require.Greater(t, w.conns.Load()-before, int64(5))
	}
}

// The server answers, and breaks off before the first byte, each time.
func TestS3ReadGivesUpWhenNothingComes(t *testing.T) {
	t.Parallel()
	o := impatient(optionsOf(t, startS3(t)))
	var asked atomic.Int64
	throughProxy(t, &o, func(_ http.Handler, r *http.Request) fault {
		if r.Method != http.MethodGet || r.URL.Query().Has("list-type") {
			return nil
		}
		asked.Add(1)
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
			w.Header().Set("Content-Length", "1000")
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
	})
	s := openS3(t, o)
	keep(t, s, "in/a", newNoise(short))
	ctx, cancel := context.WithTimeout(t.Context(), tooLong)
	defer cancel()
	r, err := s.Open(ctx, "in/a", 0)
	require.NoError(t, err)
	defer r.Close()
	_, err = io.Copy(io.Discard, r)
	requireUnavailable(t, err)
	require.NoError(t, ctx.Err(), "it gave up by itself")
	require.Greater(t, asked.Load(), int64(2))
}

func TestS3ReadNeverMixesTwoObjects(t *testing.T) {
	t.Parallel()
	o := optionsOf(t, startS3(t))
	w := throughWire(t, &o)
	s := openS3(t, o)
	keep(t, s, "in/a", newNoise(2*partSize))
	s.transport.CloseIdleConnections()
	w.down.Store(5 << 20)
	r := contentOf(t, s, "in/a", 0)
	defer r.Close()
	other := io.MultiReader(strings.NewReader("other"), newNoise(2*partSize-5))
	keep(t, s, "in/a", other)
	_, err := io.Copy(io.Discard, r)
	requireUnavailable(t, err)

	r = contentOf(t, s, "in/a", 0)
	defer r.Close()
	require.NoError(t, s.Remove(t.Context(), "in/a"))
	_, err = io.Copy(io.Discard, r)
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestS3PutSurvivesSomeCuts(t *testing.T) {
	t.Parallel()
	for _, length := range []int64{1 << 20, partSize + 1<<20} {
		o := optionsOf(t, startS3(t))
		w := throughWire(t, &o)
		s := openS3(t, o)
		s.transport.CloseIdleConnections()
		w.up.Store(100_000)
		mend := acting(func() { time.AfterFunc(50*time.Millisecond, func() { w.up.Store(-1) }) })
		keep(t, s, "in/a", io.MultiReader(mend, newNoise(length)))
		w.up.Store(100_000)
		s.transport.CloseIdleConnections()
		_, err := s.Put(t.Context(), "in/b", newNoise(length))
		requireUnavailable(t, err)
		w.up.Store(-1)
		require.Equal(t, []string{"in/a"}, keysIn(t, s))
		requireSame(t, newNoise(length), contentOf(t, s, "in/a", 0))
		requireFinished(t, s)
	}
}

// final tells the request that makes an object from those before it.
func final(r *http.Request) bool {
	q := r.URL.Query()
	return r.Method == http.MethodPut && !q.Has("partNumber") || r.Method == http.MethodPost && q.Has("uploadId")
}

// The server has kept the object, and its answer is lost each time.
func TestS3PutWhoseAnswerIsLost(t *testing.T) {
	t.Parallel()
	server := startS3(t)
	for _, length := range []int64{short, long} {
		o := optionsOf(t, server)
		var lost atomic.Int64
		var blind atomic.Bool
		throughProxy(t, &o, func(pass http.Handler, r *http.Request) fault {
			switch {
			case final(r):
				lost.Add(1)
				return lose(pass)
			case blind.Load() && r.Method == http.MethodHead:
				return busy
			}
			return nil
		})
		s := openS3(t, o)
		keep(t, s, "in/a", newNoise(length))
		require.Greater(t, lost.Load(), int64(1), "it was tried again")
		requireSame(t, newNoise(length), contentOf(t, s, "in/a", 0))

		blind.Store(true) // nobody can say now what became of it
		_, err := s.Put(t.Context(), "in/b", newNoise(length))
		requireUnavailable(t, err)
		require.Equal(t, []string{"in/a"}, keysIn(t, s), "what may have come in is removed")
		requireFinished(t, s)
	}
}

func TestS3PutIsCancelledWhenTheServerHasIt(t *testing.T) {
	t.Parallel()
	server := startS3(t)
	for _, length := range []int64{short, long} {
		o := optionsOf(t, server)
		ctx, cancel := context.WithCancel(t.Context())
		throughProxy(t, &o, func(pass http.Handler, r *http.Request) fault {
			if !final(r) {
				return nil
			}
			return func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					return
				}
				r = r.Clone(context.WithoutCancel(r.Context()))
				r.Body = io.NopCloser(bytes.NewReader(body))
				pass.ServeHTTP(httptest.NewRecorder(), r)
				cancel()
				<-ctx.Done()
			}
		})
		s := openS3(t, o)
		_, err := s.Put(ctx, "in/a", newNoise(length))
		require.ErrorIs(t, err, context.Canceled)
		require.Empty(t, keysIn(t, s))
		requireFinished(t, s)
		cancel()
	}
}

func TestS3IsBusy(t *testing.T) {
	t.Parallel()
	o := optionsOf(t, startS3(t))
	var answers atomic.Int64 // that are refused from now on
	throughProxy(t, &o, func(http.Handler, *http.Request) fault {
		if answers.Add(-1) >= 0 {
			return busy
		}
		return nil
	})
	s := openS3(t, o)
	for range 2 {
		answers.Store(s3Tries - 1)
		keep(t, s, "in/a", newNoise(short))
		answers.Store(s3Tries - 1)
		require.Len(t, content(t, s, "in/a", 0), short)
	}
	answers.Store(1 << 40)
	for _, length := range []int64{short, long} {
		_, err := s.Put(t.Context(), "in/b", newNoise(length))
		requireUnavailable(t, err)
	}
	_, err := s.Open(t.Context(), "in/a", 0)
	requireUnavailable(t, err)
	requireUnavailable(t, s.Remove(t.Context(), "in/a"))
	_, err = s.Older(t.Context(), time.Now())
	requireUnavailable(t, err)
	require.ErrorContains(t, s.Ping(t.Context()), "SlowDown (503)")
}

// What came in is not what was sent.
func TestS3NoticesBrokenBytes(t *testing.T) {
	t.Parallel()
	server := startS3(t)
	for _, length := range []int64{short, long} {
		o := optionsOf(t, server)
		throughProxy(t, &o, func(pass http.Handler, r *http.Request) fault {
			if r.Method != http.MethodPut {
				return nil
			}
			return func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					return
				}
				body[len(body)/2] ^= 1
				r.Body = io.NopCloser(bytes.NewReader(body))
				pass.ServeHTTP(w, r)
			}
		})
		s := openS3(t, o)
		_, err := s.Put(t.Context(), "in/a", newNoise(length))
		requireUnavailable(t, err)
		require.Empty(t, keysIn(t, s))
		requireFinished(t, s)
	}
}

func TestS3WithoutRangesIsNoticed(t *testing.T) {
	t.Parallel()
	o := optionsOf(t, startS3(t))
	throughProxy(t, &o, func(_ http.Handler, r *http.Request) fault {
		if r.Header.Get("Range") == "" {
			return nil
		}
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
			_, _ = io.Copy(w, newNoise(short)) // all of it
		}
	})
	s := openS3(t, o)
	keep(t, s, "in/a", newNoise(short))
	_, err := s.Open(t.Context(), "in/a", 10)
	require.ErrorContains(t, err, "does not know ranges")
}

func TestS3SaysWhatIsWrongWithItsSettings(t *testing.T) {
	t.Parallel()
	server := startS3(t)
	for name, test := range map[string]struct {
		spoil func(*S3Options)
		want  string
	}{
		"bucket":     {func(o *S3Options) { o.Bucket = "another" }, "make the bucket, or mend files.url"},
		"access key": {func(o *S3Options) { o.AccessKey = "AKIACANARY" }, "No user exists with the provided access key"},
		"secret key": {func(o *S3Options) { o.SecretKey = "canary-canary" }, "check files.access_key"},
		"one key":    {func(o *S3Options) { o.SecretKey = "" }, "set files.access_key and files.secret_key, or neither"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := optionsOf(t, server)
			test.spoil(&o)
			_, err := OpenS3(t.Context(), o)
			require.ErrorContains(t, err, test.want)
			for _, secret := range []string{"canary", "CANARY", server.AccessKey, server.SecretKey} {
				require.NotContains(t, err.Error(), secret)
			}
		})
	}
}

// A server that is away is no reason not to start: what needs no files works.
func TestS3IsAwayAtTheStart(t *testing.T) {
	t.Parallel()
	server := startS3(t)
	require.NoError(t, server.Kill())
	o := optionsOf(t, server)
	var log bytes.Buffer
	o.Log = slog.New(slog.NewTextHandler(&log, nil))
	s := openS3(t, o)
	require.Contains(t, log.String(), "the file store does not answer")
	require.NotContains(t, log.String(), o.AccessKey)
	require.NotContains(t, log.String(), o.SecretKey)
	require.Error(t, s.Ping(t.Context()))
	require.NoError(t, server.Start())
	require.NoError(t, s.Ping(t.Context()))
}

func TestStallBoundsASilence(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // the kernel takes connections; nobody reads
	require.NoError(t, err)
	defer silent.Close()
	client := http.Client{Transport: s3Transport(200 * time.Millisecond)}
	began := time.Now()
	_, err = client.Post("http://"+silent.Addr().String(), "", newNoise(64<<20))
	require.Error(t, err) // a timeout, or the connection that it closed
	require.Less(t, time.Since(began), tooLong)
}

// A body that moves slowly and steadily takes as long as it takes, in both directions.
func TestStallBoundsNoTransfer(t *testing.T) {
	t.Parallel()
	const stall = 500 * time.Millisecond
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		for range 15 {
			fmt.Fprintln(w, n)
			_ = http.NewResponseController(w).Flush()
			time.Sleep(stall / 5) // the subject of the test
		}
	}))
	defer server.Close()
	transport := s3Transport(stall)
	defer transport.CloseIdleConnections()
	r, w := io.Pipe()
	go func() {
		for range 15 {
			time.Sleep(stall / 5) // the subject of the test
			_, _ = w.Write(make([]byte, 128<<10))
		}
		w.Close()
	}()
	answer, err := (&http.Client{Transport: transport}).Post(server.URL, "", r)
	require.NoError(t, err)
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, strings.Repeat(fmt.Sprintln(15*128<<10), 15), string(body))
}
