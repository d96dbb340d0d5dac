package callbacks

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/jobs"
)

func TestWorkDeliversAndRecords(t *testing.T) {
	t.Parallel()
	r := receive(t, nil)
	claims := claimsOf(50, r.URL)
	store := newRows(claims...)
	s, _ := newSender(t, store, openPoster(t), steady())
	s.Work(t.Context(), append(gatesBehind(claims...), "nonsense", "default/nobody"))
	eventually(t, func() bool { return store.count(Delivered) == 50 }, "all are delivered")
	require.Len(t, store.outcomes(), 50)
	require.Len(t, r.messages(), 50)
	asked := len(store.wants())
	s.Work(t.Context(), gatesBehind(claims[0]))
	eventually(t, func() bool { return len(store.wants()) > asked }, "it looks")
	require.Len(t, r.messages(), 50, "what is not due is not sent again")
}

// R4: the schedule to the second, the same webhook-id, a fresh time and a signature that holds at each attempt.
func TestR4ScheduleIsKeptExactly(t *testing.T) {
	t.Parallel()
	const m, h = time.Minute, time.Hour
	for name, c := range map[string]struct {
		failures int
		own      Schedule
		waits    []time.Duration
		end      State
	}{
		"R4 three 500s and then 200":    {3, nil, []time.Duration{0, 5 * m, 30 * m, 2 * h}, Delivered},
		"R4 always 500":                 {99, nil, []time.Duration{0, 5 * m, 30 * m, 2 * h, 8 * h}, Failed},
		"R4 an endpoint's own schedule": {99, Schedule{0, m, 3 * h}, []time.Duration{0, m, 3 * h}, Failed},
		"R4 one attempt only":           {99, Schedule{0}, []time.Duration{0}, Failed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var n atomic.Int64
				town := newTown(t, map[string]http.HandlerFunc{"it.test": func(w http.ResponseWriter, _ *http.Request) {
					if int(n.Add(1)) <= c.failures {
						w.WriteHeader(500)
					}
				}})
				one := to("default", "it.test")
				one.Receiver.Schedule = c.own
				store := newRows()
				one = store.add(one, jobs.At(time.Now()))
				sendIn(t, store, town, func(*SenderOptions) {})
				time.Sleep(20 * h)
				require.Equal(t, c.end, store.delivery(one.Ref()).State)
				visits := town.visits("it.test")
				require.Len(t, visits, len(c.waits))
				for i := 1; i < len(visits); i++ {
					waited := visits[i].Sub(visits[i-1])
					require.GreaterOrEqual(t, waited, c.waits[i], "attempt %d", i+1)
					require.LessOrEqual(t, waited, c.waits[i]+time.Second, "attempt %d", i+1)
				}
				checkAttempts(t, town.headers("it.test"), store.outcomes())
			})
		})
	}
}

func checkAttempts(t *testing.T, got []http.Header, outcomes []Outcome) {
	t.Helper()
	require.Len(t, outcomes, len(got), "each POST has its row")
	wh, err := standardwebhooks.NewWebhook(testSecret)
	require.NoError(t, err)
	seen := map[string]bool{}
	for i, h := range got {
		require.Equal(t, "evt_1", h.Get("webhook-id"))
		require.Equal(t, strconv.FormatInt(outcomes[i].Attempt.StartedAt.Unix(), 10), h.Get("webhook-timestamp"))
		require.False(t, seen[h.Get("webhook-timestamp")], "each attempt has a time of its own")
		seen[h.Get("webhook-timestamp")] = true
		require.Equal(t, strconv.Itoa(i+1), h.Get("X-Ringback-Attempt"))
		require.Equal(t, i+1, outcomes[i].Attempt.Number)
		require.NotEmpty(t, outcomes[i].Attempt.Rule)
		require.NoError(t, wh.VerifyIgnoringTimestamp([]byte(testBody), h))
	}
}

// R16: what somebody asks for is marked, and what had ended begins its schedule anew.
func TestR16RetryByHandBeginsANewRound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		town := newTown(t, map[string]http.HandlerFunc{"it.test": broken})
		store := newRows()
		one := store.add(to("default", "it.test"), jobs.At(time.Now()))
		sendIn(t, store, town, func(*SenderOptions) {})
		time.Sleep(20 * time.Hour)
		require.Equal(t, Failed, store.delivery(one.Ref()).State)
		store.change(func() {
			c := store.byRef[one.Ref()]
			c.Retry(jobs.At(time.Now()))
			store.wait(c)
		})
		time.Sleep(20 * time.Hour)
		outcomes := store.outcomes()
		require.Len(t, outcomes, 10, "five more by the schedule")
		for i, o := range outcomes {
			require.Equal(t, i+1, o.Attempt.Number)
			require.Equal(t, i == 5, o.Attempt.Manual, "attempt %d", i+1)
		}
		require.Equal(t, "10", town.headers("it.test")[9].Get("X-Ringback-Attempt"))
	})
}

// R6, R7: what a receiver asks for ends its delivery. Its endpoint is switched off only where it says so.
func TestReceiverEndsItsDelivery(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		code                  int
		wish, reason, disable string
		state                 State
	}{
		"R6 410":                    {410, "", "gone", "gone", Failed},
		"R6 410 and a wish":         {410, "abort-message", "gone", "gone", Failed},
		"R7 abort-message":          {500, "abort-message", "abort-message", "", Failed},
		"R7 disable":                {500, "disable", "disable", "disable", Failed},
		"R7 disable on a success":   {200, "disable", "", "", Delivered},
		"R7 another word":           {500, "please-stop", "status_500", "", Waiting},
		"R6 404 is no 410":          {404, "", "status_404", "", Waiting},
		"R7 in capitals and spaces": {503, " Abort-Message ", "abort-message", "", Failed},
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
			s.Work(t.Context(), gatesBehind(one))
			eventually(t, func() bool { return len(store.outcomes()) == 1 }, "an outcome")
			o := store.outcomes()[0]
			require.Equal(t, c.state, store.delivery(one.Ref()).State)
			require.Equal(t, c.reason, store.delivery(one.Ref()).Reason)
			require.Equal(t, c.disable, o.Decision.Disable)
		})
	}
}

// R5: of two Retry-After headers the first is obeyed.
func TestR5FirstRetryAfterIsObeyed(t *testing.T) {
	t.Parallel()
	r := receive(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Retry-After"] = []string{"3600", "7200"}
		w.WriteHeader(503)
	})
	one := claim(r.URL)
	store := newRows(one)
	s, _ := newSender(t, store, openPoster(t), steady())
	s.Work(t.Context(), gatesBehind(one))
	eventually(t, func() bool { return len(store.outcomes()) == 1 }, "an outcome")
	require.Equal(t, time.Hour, store.outcomes()[0].Decision.Delay)
}

func TestTooManyClaimsEndWithoutAPost(t *testing.T) {
	t.Parallel()
	r := receive(t, nil)
	last, over := claim(r.URL), claim(r.URL)
	last.Claims, over.Claims = jobs.MaxClaims, jobs.MaxClaims+1
	store := newRows(last, over)
	s, _ := newSender(t, store, openPoster(t), steady())
	s.Work(t.Context(), gatesBehind(last))
	eventually(t, func() bool { return len(store.outcomes()) == 2 }, "both end")
	require.Len(t, r.messages(), 1)
	require.Equal(t, Delivered, store.delivery(last.Ref()).State)
	require.Equal(t, Failed, store.delivery(over.Ref()).State)
	require.Equal(t, "claimed_too_often", store.delivery(over.Ref()).Reason)
}

// R17: what waits for an endpoint that gets nothing any more ends, and is not sent.
func TestR17WhatWaitsForADeletedEndpointIsNotSent(t *testing.T) {
	t.Parallel()
	r := receive(t, nil)
	one, other := claim(r.URL), claim(r.URL)
	one.EndpointID, one.Gate = "ep", "ep"
	store := newRows(one, other)
	store.off[one.GateRef()] = ReasonDeleted
	s, _ := newSender(t, store, openPoster(t), steady())
	s.Work(t.Context(), gatesBehind(one, other))
	eventually(t, func() bool { return store.count(Delivered) == 1 }, "the other one goes on")
	require.Equal(t, Cancelled, store.delivery(one.Ref()).State)
	require.Equal(t, ReasonDeleted, store.delivery(one.Ref()).Reason)
	require.Len(t, r.messages(), 1)
}

// A slow receiver delays neither the others' POSTs nor their records.
func TestOutcomesAreRecordedOneByOne(t *testing.T) {
	t.Parallel()
	held, arrived, release := slow(t)
	quick := receive(t, nil)
	a, b := claim(held.URL), claim(quick.URL)
	store := newRows(a, b)
	s, _ := newSender(t, store, openPoster(t), steady())
	s.Work(t.Context(), gatesBehind(a, b))
	<-arrived
	eventually(t, func() bool { return store.delivery(b.Ref()).State == Delivered }, "the quick one")
	require.Equal(t, Sending, store.delivery(a.Ref()).State)
	release()
	eventually(t, func() bool { return store.delivery(a.Ref()).State == Delivered }, "the slow one")
}

// slow is a receiver that answers nothing until release; arrived brings each of its requests.
func slow(t *testing.T) (r *receiver, arrived chan struct{}, release func()) {
	t.Helper()
	arrived = make(chan struct{}, 100)
	gate := make(chan struct{})
	release = sync.OnceFunc(func() { close(gate) })
	r = receive(t, func(http.ResponseWriter, *http.Request) { arrived <- struct{}{}; <-gate })
	t.Cleanup(release)
	return r, arrived, release
}

// few starts a Sender with a bound on what is in hand, and no grace.
func few(t *testing.T, n int, store Store) (s *Sender, stop func()) {
	t.Helper()
	return startSender(t, SenderOptions{
		Store: store, Poster: openPoster(t), Policy: steady(), Owner: "me", Concurrency: n, Now: time.Now, Log: quiet(),
	})
}

func TestDeliveryIsClaimedOnlyWhenItsSlotIsFree(t *testing.T) {
	t.Parallel()
	r, arrived, release := slow(t)
	claims := claimsOf(10, r.URL)
	store := newRows(claims...)
	s, _ := few(t, 2, store)
	s.Work(t.Context(), gatesBehind(claims[:5]...))
	<-arrived
	<-arrived
	s.Work(t.Context(), gatesBehind(claims[5:]...))
	require.Equal(t, 8, store.count(Waiting), "what no slot is free for is not claimed")
	release()
	eventually(t, func() bool { return store.count(Delivered) == 10 }, "all")
	for _, wants := range store.wants() {
		for _, w := range wants {
			require.LessOrEqual(t, w.Room, 2)
			require.Positive(t, w.Room)
		}
	}
	require.Equal(t, 2, store.peak())
	require.Len(t, r.messages(), 10)
}

// A claim that fails leaves nothing stuck: its slots are free again, and what it was for is claimed when it is asked for.
func TestFailedClaimLeavesNothingStuck(t *testing.T) {
	t.Parallel()
	r := receive(t, nil)
	claims := claimsOf(5, r.URL)
	store := newRows(claims...)
	store.refusing = 3
	s, _ := few(t, 2, store)
	for i := range 3 {
		s.Work(t.Context(), gatesBehind(claims...))
		eventually(t, func() bool { return len(store.wants()) == i+1 && s.gates.held() == 0 }, "asked once, and nothing is held")
		require.Equal(t, 5, store.count(Waiting))
	}
	s.Work(t.Context(), gatesBehind(claims...)) // as the sweeper has it
	eventually(t, func() bool { return store.count(Delivered) == 5 }, "all")
}

// held counts the slots that are taken.
func (gs *gates) held() int {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	return gs.inHand
}

// What is asked for while a claim is under way is claimed by the next one.
func TestWhatComesDuringAClaimIsNotForgotten(t *testing.T) {
	t.Parallel()
	r := receive(t, nil)
	store := newRows()
	store.claiming = make(chan struct{})
	s, _ := few(t, 64, store)
	one := claim(r.URL)
	s.Work(t.Context(), gatesBehind(one))
	eventually(t, func() bool { return len(store.wants()) == 1 }, "a claim is under way")
	s.Work(t.Context(), gatesBehind(one))
	store.claiming <- struct{}{} // it has found nothing
	eventually(t, func() bool { return len(store.wants()) == 2 }, "another one looks again")
	store.add(one, 1)
	store.claiming <- struct{}{}
	eventually(t, func() bool { return store.count(Delivered) == 1 }, "and finds it")
	close(store.claiming)
}

// R10: while the store takes no outcomes, no more is sent than there are slots.
func TestR10SlotIsKeptUntilTheOutcomeIsRecorded(t *testing.T) {
	t.Parallel()
	r := receive(t, nil)
	claims := claimsOf(6, r.URL)
	store := newRows(claims...)
	store.gate = make(chan struct{})
	s, _ := few(t, 2, store)
	s.Work(t.Context(), gatesBehind(claims...))
	eventually(t, func() bool { return store.asks()+s.recorder.waiting() == 2 }, "two outcomes wait")
	require.Len(t, r.messages(), 2)
	require.Equal(t, 2, s.gates.held())
	close(store.gate)
	eventually(t, func() bool { return store.count(Delivered) == 6 }, "all")
	require.Len(t, r.messages(), 6)
	require.Equal(t, 2, store.peak())
}

// A process that may have been taken for dead claims nothing, and goes on by itself when it knows that it was not.
func TestSenderGoesOnAfterALapse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		town := newTown(t, map[string]http.HandlerFunc{"it.test": func(http.ResponseWriter, *http.Request) {}})
		store, lapsed := newRows(), &atomic.Bool{}
		sendIn(t, store, town, func(o *SenderOptions) { o.Lapsed = lapsed.Load })
		lapsed.Store(true)
		one := store.add(to("default", "it.test"), jobs.At(time.Now()))
		time.Sleep(15 * time.Second)
		require.Empty(t, town.visits("it.test"))
		lapsed.Store(false)
		time.Sleep(10 * time.Second)
		require.Equal(t, Delivered, store.delivery(one.Ref()).State)
	})
}

// R21: a stop claims nothing more, gives what is in flight its grace, then breaks it off. What was answered is recorded;
// what was not has no outcome and stays with its owner.
func TestR21Stop(t *testing.T) {
	t.Parallel()
	for name, cancelled := range map[string]bool{"by its signal": false, "by its context": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := newRows()
				quick, hung := to("default", "quick.test"), to("default", "hung.test")
				quick, hung = store.add(quick, 1), store.add(hung, 1)
				town := newTown(t, map[string]http.HandlerFunc{"quick.test": takes(4 * time.Second), "hung.test": stalled, "late.test": fine})
				signal := make(chan struct{})
				s := NewSender(SenderOptions{
					Store: store, Poster: NewPoster(PosterOptions{Client: town.Client, Timeout: 30 * time.Second, Now: time.Now}),
					Policy: steady(), Owner: "me", Stopping: signal, Grace: 6 * time.Second, Now: time.Now, Log: quiet(),
				})
				s.gates.at(hung.GateRef()).failures = gateFailures - 1
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				done := make(chan error, 1)
				go func() { done <- s.Run(ctx) }()
				s.Work(ctx, gatesBehind(quick, hung))
				time.Sleep(time.Second)
				stopped := time.Now()
				if cancelled {
					cancel()
				} else {
					close(signal)
				}
				late := store.add(to("default", "late.test"), 1)
				claims := len(store.wants())
				s.Work(ctx, gatesBehind(late))
				time.Sleep(4 * time.Second)
				synctest.Wait()
				require.Equal(t, Delivered, store.delivery(quick.Ref()).State, "it ended within the grace")
				require.Empty(t, done, "the other one has its grace still")
				require.NoError(t, <-done)
				require.Equal(t, 6*time.Second, time.Since(stopped))
				require.Equal(t, Sending, store.delivery(hung.Ref()).State)
				require.Equal(t, "me", store.delivery(hung.Ref()).Owner, "the claim ends with its owner")
				require.Len(t, store.outcomes(), 1)
				require.Len(t, store.wants(), claims, "nothing more is claimed")
				require.Equal(t, Waiting, store.delivery(late.Ref()).State)
				require.Empty(t, store.kept, "a stop says nothing about a receiver")
			})
		})
	}
}

// R21: a status that came decides, even if the stop breaks off what follows it.
func TestR21StopRecordsWhatWasAnswered(t *testing.T) {
	t.Parallel()
	answered := make(chan struct{})
	r := listenRaw(t, func(c *net.TCPConn, r *bufio.Reader) {
		readRequest(r)
		_, _ = c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"))
		close(answered)
		_, _ = r.ReadByte() // the body never comes
	})
	one := claim(r.url)
	store := newRows(one)
	s, stop := startSender(t, SenderOptions{
		Store: store, Poster: openPoster(t), Policy: steady(), Owner: "me", Grace: 200 * time.Millisecond, Now: time.Now, Log: quiet(),
	})
	s.Work(t.Context(), gatesBehind(one))
	<-answered
	stop()
	require.Equal(t, Delivered, store.delivery(one.Ref()).State)
}

// S9: no log line holds a secret, a header's value, a query or a body.
func TestS9LogsHoldNoSecrets(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	r := receive(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "canary-answer", 500) })
	c := claim(r.URL + "/?token=canary-query")
	c.Receiver.Headers = map[string]string{"X-Token": "canary-header"}
	c.Body = []byte(`{"canary":"canary-body"}`)
	bad := c
	bad.ID, bad.Gate, bad.Receiver.URL = jobs.NewID("dlv_"), "bad", "http://canary-host.invalid:1/\x7fcanary"
	store := newRows(c, bad)
	s, stop := startSender(t, SenderOptions{Store: store, Poster: openPoster(t), Policy: steady(), Now: time.Now, Log: slog.New(
		slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	s.Work(t.Context(), gatesBehind(c, bad))
	eventually(t, func() bool { return len(store.outcomes()) == 2 }, "both")
	stop()
	require.NotContains(t, text.String(), "canary")
	require.NotContains(t, text.String(), testSecret)
	require.Contains(t, text.String(), c.ID)
}

// R20: a panic is an attempt that failed; the process and the other deliveries go on.
func TestR20PanickingAttemptIsRecorded(t *testing.T) {
	t.Parallel()
	claims := claimsOf(3, "https://example.com/")
	store := newRows(claims...)
	s, _ := newSender(t, store, NewPoster(PosterOptions{Client: nil, Now: time.Now}), steady())
	s.Work(t.Context(), gatesBehind(claims...))
	eventually(t, func() bool { return len(store.outcomes()) == 3 }, "all")
	require.Equal(t, ClassInternal, store.outcomes()[0].Attempt.ErrorClass)
	require.Equal(t, Waiting, store.delivery(claims[0].Ref()).State)
	eventually(t, func() bool { return s.gates.held() == 0 }, "no slot is lost")
}

// What cannot be read is a dead letter, not a loop, and holds up no other.
func TestUnreadableDeliveryEndsWithoutAPost(t *testing.T) {
	t.Parallel()
	r := receive(t, nil)
	broken, fine := claim(r.URL), claim(r.URL)
	broken.Broken, broken.Body, broken.Receiver = errors.New("the key does not open it"), nil, Receiver{}
	broken.Gate = gatesBehind(fine)[0][len("default/"):]
	store := newRows(broken, fine)
	var text bytes.Buffer
	s, stop := startSender(t, SenderOptions{
		Store: store, Poster: openPoster(t), Policy: steady(), Now: time.Now, Log: slog.New(slog.NewTextHandler(&text, nil)),
	})
	s.Work(t.Context(), gatesBehind(broken, fine))
	eventually(t, func() bool { return len(store.outcomes()) == 2 }, "both")
	stop()
	require.Len(t, r.messages(), 1)
	require.Equal(t, Delivered, store.delivery(fine.Ref()).State)
	row := store.delivery(broken.Ref())
	require.Equal(t, Failed, row.State)
	require.Equal(t, "unreadable", row.Reason)
	for _, o := range store.outcomes() {
		if o.Claimed.ID == broken.ID {
			require.Equal(t, ClassUnreadable, o.Attempt.ErrorClass)
			require.Equal(t, "ended: the receiver or the event cannot be read", o.Attempt.Rule)
			require.Equal(t, 1, o.Attempt.Number)
			require.Zero(t, o.Attempt.StatusCode)
		}
	}
	require.Contains(t, text.String(), "level=ERROR")
	require.Contains(t, text.String(), broken.ID)
	require.Contains(t, text.String(), "the key does not open it")
	require.NotContains(t, text.String(), testSecret)
}
