package callbacks

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/jobs"
)

func TestWorkDeliversAndRecords(t *testing.T) {
	t.Parallel()
	r := receive(t, nil)
	var claims []Claimed
	for range 50 {
		claims = append(claims, claim(r.URL))
	}
	store := newRows(claims...)
	s, _ := newSender(t, store, openPoster(t), steady())
	s.Work(t.Context(), append(idsOf(claims...), "nonsense", "default/dlv_unknown"))
	require.Len(t, store.outcomes(), 50)
	require.Len(t, r.messages(), 50)
	for _, c := range claims {
		require.Equal(t, Delivered, store.row(c.Ref()).State)
	}
	s.Work(t.Context(), idsOf(claims...))
	require.Len(t, r.messages(), 50, "what is not due is not sent again")
}

// R4: the schedule to the second, the same webhook-id, a fresh time and a signature that holds at each attempt.
func TestScheduleIsKeptExactly(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		failures, want int
		end            State
	}{
		"R4 three 500s and then 200": {3, 4, Delivered},
		"R4 always 500":              {99, 5, Failed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var n atomic.Int64
			r := receive(t, func(w http.ResponseWriter, _ *http.Request) {
				if int(n.Add(1)) <= c.failures {
					w.WriteHeader(500)
				}
			})
			now := &clock{at: time.Unix(1700000000, 0)}
			p := openPoster(t)
			p.Now = now.now
			one := claim(r.URL)
			store := newRows(one)
			s, _ := newSender(t, store, p, steady())
			for i, wait := range schedule() {
				due := now.now().Add(wait)
				if i > 0 {
					now.set(due.Add(-time.Millisecond))
					s.Work(t.Context(), idsOf(one))
					require.Len(t, r.messages(), min(i, c.want), "not sooner than the schedule")
				}
				now.set(due)
				s.Work(t.Context(), idsOf(one))
				require.Len(t, r.messages(), min(i+1, c.want))
			}
			now.set(now.now().Add(1000 * time.Hour))
			s.Work(t.Context(), idsOf(one))
			require.Equal(t, c.end, store.row(one.Ref()).State)
			require.Len(t, r.messages(), c.want)
			checkAttempts(t, r.messages(), store.outcomes())
		})
	}
}

func checkAttempts(t *testing.T, got []message, outcomes []Outcome) {
	t.Helper()
	require.Len(t, outcomes, len(got), "each POST has its row")
	wh, err := standardwebhooks.NewWebhook(testSecret)
	require.NoError(t, err)
	for i, m := range got {
		require.Equal(t, "evt_1", m.Header.Get("webhook-id"))
		require.Equal(t, strconv.FormatInt(outcomes[i].Attempt.StartedAt.Unix(), 10), m.Header.Get("webhook-timestamp"))
		require.Equal(t, strconv.Itoa(i+1), m.Header.Get("X-Ringback-Attempt"))
		require.Equal(t, i+1, outcomes[i].Attempt.Number)
		require.NotEmpty(t, outcomes[i].Attempt.Rule)
		require.NoError(t, wh.VerifyIgnoringTimestamp(m.Body, m.Header))
	}
}

// R6, R7: what a receiver asks for ends its delivery.
func TestReceiverEndsItsDelivery(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		code         int
		wish, reason string
	}{
		"R6 410":           {410, "", "gone"},
		"R7 abort-message": {500, "abort-message", "abort-message"},
		"R7 disable":       {500, "disable", "disable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := receive(t, func(w http.ResponseWriter, _ *http.Request) {
				if c.wish != "" {
					w.Header().Set("webhook-delivery", c.wish)
				}
				w.WriteHeader(c.code)
			})
			one := claim(r.URL)
			store := newRows(one)
			s, _ := newSender(t, store, openPoster(t), steady())
			s.Work(t.Context(), idsOf(one))
			require.Equal(t, Failed, store.row(one.Ref()).State)
			require.Equal(t, c.reason, store.row(one.Ref()).Reason)
		})
	}
}

// R5: of two Retry-After headers the first is obeyed.
func TestFirstRetryAfterIsObeyed(t *testing.T) {
	t.Parallel()
	r := receive(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Retry-After"] = []string{"3600", "7200"}
		w.WriteHeader(503)
	})
	one := claim(r.URL)
	store := newRows(one)
	s, _ := newSender(t, store, openPoster(t), steady())
	s.Work(t.Context(), idsOf(one))
	require.Equal(t, time.Hour, store.outcomes()[0].Decision.Delay)
}

func TestTooManyClaimsEndWithoutAPost(t *testing.T) {
	t.Parallel()
	r := receive(t, nil)
	last, over := claim(r.URL), claim(r.URL)
	last.Claims, over.Claims = jobs.MaxClaims, jobs.MaxClaims+1
	store := newRows(last, over)
	s, _ := newSender(t, store, openPoster(t), steady())
	s.Work(t.Context(), idsOf(last, over))
	require.Len(t, r.messages(), 1)
	require.Equal(t, Delivered, store.row(last.Ref()).State)
	require.Equal(t, Failed, store.row(over.Ref()).State)
	require.Equal(t, "claimed_too_often", store.row(over.Ref()).Reason)
}

// A slow receiver delays neither the others' POSTs nor their records.
func TestOutcomesAreRecordedOneByOne(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	slow := receive(t, func(http.ResponseWriter, *http.Request) { <-release })
	quick := receive(t, nil)
	a, b := claim(slow.URL), claim(quick.URL)
	store := newRows(a, b)
	s, _ := newSender(t, store, openPoster(t), steady())
	var work sync.WaitGroup
	work.Go(func() { s.Work(t.Context(), idsOf(a, b)) })
	require.Eventually(t, func() bool { return store.row(b.Ref()).State == Delivered }, 5*time.Second, time.Millisecond)
	require.Equal(t, Sending, store.row(a.Ref()).State)
	close(release)
	work.Wait()
	require.Equal(t, Delivered, store.row(a.Ref()).State)
}

func TestConcurrencyIsBounded(t *testing.T) {
	t.Parallel()
	var now, most atomic.Int64
	r := receive(t, func(http.ResponseWriter, *http.Request) {
		n := now.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		time.Sleep(5 * time.Millisecond) // long enough for the others to come, if they may
		now.Add(-1)
	})
	var claims []Claimed
	for range 40 {
		claims = append(claims, claim(r.URL))
	}
	store := newRows(claims...)
	s := NewSender(SenderOptions{
		Store: store, Poster: openPoster(t), Policy: steady(), Concurrency: 4, Now: time.Now, Log: quiet(),
	})
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() { _ = s.Run(ctx) })
	s.Work(t.Context(), idsOf(claims...))
	cancel()
	all.Wait()
	require.LessOrEqual(t, most.Load(), int64(4))
	require.Greater(t, most.Load(), int64(1))
	require.Len(t, store.outcomes(), 40)
}

// R21: what a stop breaks off has no outcome, so its row is taken up again; what was answered is recorded.
func TestStopGivesUpWhatHasNoAnswer(t *testing.T) {
	t.Parallel()
	reached := make(chan struct{}, 1)
	hanging := listenRaw(t, func(c *net.TCPConn, r *bufio.Reader) { readRequest(r); reached <- struct{}{}; hang(c) })
	one := claim(hanging.url)
	store := newRows(one)
	s, stop := newSender(t, store, openPoster(t), steady())
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() { s.Work(ctx, idsOf(one)) })
	<-reached
	cancel()
	work.Wait()
	stop()
	require.Empty(t, store.outcomes())
	require.Equal(t, Sending, store.row(one.Ref()).State)
	require.Equal(t, "me", store.row(one.Ref()).Owner, "the claim ends with its owner")
}

func TestStopRecordsWhatWasAnswered(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	r := listenRaw(t, func(c *net.TCPConn, r *bufio.Reader) {
		readRequest(r)
		_, _ = c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"))
		_, _ = r.ReadByte() // the body never comes
	})
	one := claim(r.url)
	store := newRows(one)
	p := openPoster(t)
	s, stop := newSender(t, store, p, steady())
	time.AfterFunc(200*time.Millisecond, cancel)
	s.Work(ctx, idsOf(one))
	stop()
	require.Equal(t, Delivered, store.row(one.Ref()).State)
}

// R10: while the disk is full outcomes wait, and none is lost or repeated when it is not.
func TestRecorderKeepsWhatTheStoreRefuses(t *testing.T) {
	t.Parallel()
	r := receive(t, nil)
	one := claim(r.URL)
	store := newRows(one)
	store.failing = 1
	s, _ := newSender(t, store, openPoster(t), steady())
	s.Work(t.Context(), idsOf(one))
	require.Len(t, store.outcomes(), 1)
	require.Len(t, r.messages(), 1)
}

func TestOneBadOutcomeHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	store := newRows()
	rec := newRecorder(store, time.Now, quiet())
	var all []entry
	for i := range 9 {
		c := claim("https://example.com/")
		c.ID = fmt.Sprintf("dlv_%d", i)
		c.State = Sending
		store.byRef[c.Ref()] = &c
		all = append(all, entry{Outcome{Claimed: c, Decision: Decision{State: Delivered}}, make(chan struct{})})
	}
	for i := range all {
		store.poison = all[i].Claimed.ID
		set := []entry{}
		for _, e := range all {
			set = append(set, entry{e.Outcome, make(chan struct{})})
		}
		kept := rec.write(t.Context(), set)
		require.Len(t, kept, 1)
		require.Equal(t, store.poison, kept[0].Claimed.ID)
	}
	store.failing = 1000
	for i := range all {
		all[i].done = make(chan struct{})
	}
	require.Len(t, rec.write(t.Context(), all), 9)
	require.Greater(t, store.failing, 990, "a store that fails is not asked for each outcome")
}

// While one set is being written the next one gathers.
func TestRecorderWritesSets(t *testing.T) {
	t.Parallel()
	r := receive(t, nil)
	var claims []Claimed
	for range 30 {
		claims = append(claims, claim(r.URL))
	}
	store := newRows(claims...)
	store.gate = make(chan struct{})
	s, _ := newSender(t, store, openPoster(t), steady())
	var work sync.WaitGroup
	work.Go(func() { s.Work(t.Context(), idsOf(claims...)) })
	require.Eventually(t, func() bool { return len(r.messages()) == 30 }, 5*time.Second, time.Millisecond)
	require.Eventually(t, func() bool { return store.asks()+s.recorder.waiting() == 30 }, 5*time.Second, time.Millisecond)
	close(store.gate)
	work.Wait()
	require.Len(t, store.outcomes(), 30)
	require.Less(t, len(store.sets), 10)
}

func TestRunWritesTheLastOutcomesBeforeItReturns(t *testing.T) {
	t.Parallel()
	r := receive(t, nil)
	one := claim(r.URL)
	store := newRows(one)
	store.failing = 1
	s, stop := newSender(t, store, openPoster(t), steady())
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() { s.Work(ctx, idsOf(one)) })
	<-store.wrote // the first write has failed
	cancel()
	work.Wait()
	stop()
	require.Equal(t, Delivered, store.row(one.Ref()).State)
}

func TestRunReportsWhatItCouldNotWrite(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	rec := newRecorder(&rows{failing: 1000, wrote: make(chan struct{}, 1000)}, time.Now, slog.New(slog.NewTextHandler(&text, nil)))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	rec.record(ctx, Outcome{})
	require.NoError(t, rec.run(ctx))
	require.Contains(t, text.String(), "could not be recorded")
}

// S9: no log line holds a secret, a header's value, a query or a body.
func TestLogsHoldNoSecrets(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	r := receive(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "canary-answer", 500) })
	c := claim(r.URL + "/?token=canary-query")
	c.Receiver.Headers = map[string]string{"X-Token": "canary-header"}
	c.Body = []byte(`{"canary":"canary-body"}`)
	broken := c
	broken.ID, broken.Receiver.URL = jobs.NewID("dlv_"), "http://canary-host.invalid:1/\x7fcanary"
	store := newRows(c, broken)
	p := openPoster(t)
	s := NewSender(SenderOptions{Store: store, Poster: p, Policy: steady(), Now: time.Now, Log: slog.New(
		slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() { _ = s.Run(ctx) })
	s.Work(t.Context(), idsOf(c, broken))
	cancel()
	all.Wait()
	require.Len(t, store.outcomes(), 2)
	require.NotContains(t, text.String(), "canary")
	require.NotContains(t, text.String(), testSecret)
	require.Contains(t, text.String(), c.ID)
}

// A panic is an attempt that failed; the process and the other deliveries go on.
func TestPanickingAttemptIsRecorded(t *testing.T) {
	t.Parallel()
	one := claim("https://example.com/")
	store := newRows(one)
	s, _ := newSender(t, store, NewPoster(PosterOptions{Client: nil, Now: time.Now}), steady())
	s.Work(t.Context(), idsOf(one))
	require.Equal(t, ClassInternal, store.outcomes()[0].Attempt.ErrorClass)
	require.Equal(t, Waiting, store.row(one.Ref()).State)
}
