package store

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/callbacks/signature"
	"github.com/ringback/ringback/jobs"
)

// TestClaimTakesTheOldestThatFit: by gate, what has been due longest first, no more than there is room for, nothing
// before its time.
func TestClaimTakesTheOldestThatFit(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		e := w.endpoint()
		w.backlog(e, callbacks.Waiting, 10) // dlv_00000001 is due first
		w.exec("UPDATE deliveries SET due_at = ? WHERE id = 'dlv_00000007'", begun-5)
		w.exec("UPDATE deliveries SET due_at = ? WHERE id = 'dlv_00000003'", begun.Add(time.Hour))
		w.pass(8 * time.Millisecond)
		got := must(w.ClaimDeliveries(t.Context(), "own", []callbacks.Want{{Gate: e, Room: 3}}, w.now()))(t)
		ids := []string{got[0].ID, got[1].ID, got[2].ID}
		slices.Sort(ids)
		require.Equal(t, []string{"dlv_00000001", "dlv_00000002", "dlv_00000007"}, ids)
		for _, c := range got {
			require.Equal(t, callbacks.Sending, c.State)
			require.EqualValues(t, 1, c.Attempt)
			require.Equal(t, 1, c.Claims)
			require.Equal(t, "own", c.Owner)
		}
		require.Equal(t, w.now().Add(offerAgain), w.wakes(e), "some are due still")
		require.Len(t, w.claim(e), 4, "5 and 6 and 4 and 8, not yet 9 and 10")
		require.Equal(t, begun+9, w.wakes(e), "when the next one is due")
		w.pass(2 * time.Millisecond)
		require.Len(t, w.claim(e), 2)
		require.Equal(t, begun.Add(time.Hour), w.wakes(e))
		w.pass(time.Hour)
		require.Len(t, w.claim(e), 1)
		require.Zero(t, w.wakes(e), "none is left")
	})
}

// TestClaimForManyGatesAtOnce takes from each gate of each project as much as it has room for.
func TestClaimForManyGatesAtOnce(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		other := jobs.Ref{ProjectID: "other", ID: "a.example.com"}
		require.NoError(t, w.ensureProject(t.Context(), "other", ""))
		for range 3 {
			w.oneOff("A.example.com")
			w.oneOff("b.example.com:8443")
			w.oneOff("a.example.com", func(n *jobs.NewJob) { n.Job.ProjectID = "other" })
		}
		got := must(w.ClaimDeliveries(t.Context(), "own", []callbacks.Want{
			{Gate: host("a.example.com"), Room: 2}, {Gate: host("b.example.com:8443"), Room: 5}, {Gate: other, Room: 1}, {Gate: host("none"), Room: 9},
		}, w.now()))(t)
		secrets, behind := map[string]string{}, map[jobs.Ref]int{}
		for _, c := range got {
			behind[c.GateRef()]++
			secrets[c.ProjectID] = c.Receiver.Keys.Secrets[0]
			require.Equal(t, "PUT", c.Receiver.Method)
			require.True(t, strings.HasSuffix(c.Receiver.URL, "/hook?k=v"), "as it was frozen, query and all")
			require.NoError(t, c.Broken)
			require.NoError(t, c.Receiver.Keys.Check())
			require.NotNil(t, c.Receiver.Keys.Private)
		}
		require.Equal(t, map[jobs.Ref]int{host("a.example.com"): 2, host("b.example.com:8443"): 3, other: 1}, behind)
		require.NotEqual(t, secrets["default"], secrets["other"], "each project signs with its own")
	})
}

func TestShutGateGivesOne(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		e := w.endpoint()
		w.backlog(e, callbacks.Waiting, 10)
		w.pass(time.Second)
		require.NoError(t, w.ShutGate(t.Context(), e, begun, w.now()))
		c := w.claimOne(e)
		require.Equal(t, begun, c.ShutAt)
		require.NoError(t, w.ShutGate(t.Context(), e, 0, w.now()))
		claimed := w.claim(e)
		require.Len(t, claimed, 9)
		require.Zero(t, claimed[0].ShutAt)
	})
}

// TestShutGateIsWokenWhenItIsProbed, and only then.
func TestShutGateIsWokenWhenItIsProbed(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		require.NoError(t, w.ShutGate(t.Context(), host("h"), begun, begun.Add(time.Minute)))
		require.Empty(t, must(w.DueGates(t.Context(), 9))(t))
		w.pass(time.Minute)
		require.Equal(t, []string{"default/h"}, must(w.DueGates(t.Context(), 9))(t))
		require.NoError(t, w.ShutGate(t.Context(), host("h"), 0, w.now()))
		require.Equal(t, []string{"default/h"}, must(w.DueGates(t.Context(), 9))(t), "opened: what waits goes at once")
	})
}

// TestR11DeliveriesAreClaimedOnce: each row by one of many who ask at once.
func TestR11DeliveriesAreClaimedOnce(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		e := w.endpoint()
		w.backlog(e, callbacks.Waiting, 200)
		w.pass(time.Second)
		var mu sync.Mutex
		owners := map[string]string{}
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for range 10 {
					claimed, err := w.ClaimDeliveries(t.Context(), fmt.Sprint("own_", i), []callbacks.Want{{Gate: e, Room: 5}}, w.now())
					mu.Lock()
					if err != nil {
						owners["error"] = err.Error()
					}
					for _, c := range claimed {
						if owners[c.ID] != "" || c.Owner != fmt.Sprint("own_", i) {
							owners["error"] = c.ID + " was taken twice"
						}
						owners[c.ID] = c.Owner
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		require.Empty(t, owners["error"])
		require.Len(t, owners, 200)
	})
}

func TestDueGatesAreOfferedOnce(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		w.oneOff("a.example.com")
		w.oneOff("a.example.com")
		w.oneOff("b.example.com")
		w.oneOff("b.example.com")
		require.Equal(t, []string{"default/a.example.com"}, must(w.DueGates(t.Context(), 1))(t))
		require.ElementsMatch(t, []string{"default/a.example.com", "default/b.example.com"}, must(w.DueGates(t.Context(), 9))(t), "one gate for two deliveries")
		require.Empty(t, must(w.DueGates(t.Context(), 9))(t))
		w.pass(offerAgain)
		require.ElementsMatch(t, []string{"default/a.example.com", "default/b.example.com"}, must(w.DueGates(t.Context(), 9))(t), "a task that died with its offer blocks nothing")
		require.Equal(t, 2, w.count("wakes"), "one for each gate, however many there were")
		require.Len(t, w.claim(host("a.example.com"), host("b.example.com")), 4)
		w.pass(time.Hour)
		require.Empty(t, must(w.DueGates(t.Context(), 9))(t), "nothing waits")
	})
}

// TestNewDeliveriesWakeTheirGate no later than it was to be woken already.
func TestNewDeliveriesWakeTheirGate(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		w.options.FirstDelay = time.Minute
		gate := host("a.example.com")
		n := jobs.NewJob{Job: newBatch(w.now()), Webhook: &jobs.Webhook{URL: "https://a.example.com/"}, Events: []jobs.EventType{jobs.BatchFailed}}
		n.Job.Webhook = callbacks.Shown(n.Webhook)
		woken := must(w.CreateJob(t.Context(), n))(t)
		require.Empty(t, woken.Deliveries, "not due yet")
		require.Equal(t, begun.Add(time.Minute), w.wakes(gate))
		w.pass(time.Second)
		w.oneOff("a.example.com")
		require.Equal(t, begun.Add(time.Minute), w.wakes(gate), "the sooner time stands")
		w.options.FirstDelay = 0
		n.Job.ID = jobs.NewID("batch_")
		woken = must(w.CreateJob(t.Context(), n))(t)
		require.Equal(t, []jobs.Ref{gate}, woken.Deliveries)
		require.Equal(t, begun, w.wakes(gate))
	})
}

// TestRetryWakesItsGateAtItsTime, and neither later nor sooner.
func TestRetryWakesItsGateAtItsTime(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		e := w.endpoint()
		w.fire("file.created")
		c := w.claimOne(e)
		require.Zero(t, w.wakes(e))
		w.record(w.answered(c, 500))
		require.Equal(t, w.now().Add(5*time.Minute), w.wakes(e))
		w.pass(5*time.Minute - time.Millisecond)
		require.Empty(t, must(w.DueGates(t.Context(), 9))(t))
		require.Empty(t, w.claim(e))
		w.pass(time.Millisecond)
		require.Equal(t, []string{e.String()}, must(w.DueGates(t.Context(), 9))(t))
		c = w.claimOne(e)
		require.Equal(t, 1, c.Tries)
		require.Equal(t, 1, c.Claims, "an outcome begins the count of claims anew")
	})
}

// TestR17WhatWaitsForAnInactiveEndpointEnds with the reason, a slice at a time, whenever it would have been due.
func TestR17WhatWaitsForAnInactiveEndpointEnds(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, want string
		change     func(*callbacks.Registered) error
	}{
		{"disabled", callbacks.ReasonDisabled, func(r *callbacks.Registered) error { r.IsActive = false; return nil }},
		{"deleted", callbacks.ReasonDeleted, func(r *callbacks.Registered) error { r.IsActive, r.DeletedAt = false, begun; return nil }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			onEach(t, func(t *testing.T, w *world) {
				e, healthy := w.endpoint(), w.endpoint(wants("file.created"))
				w.backlog(e, callbacks.Waiting, 2300)
				w.exec("UPDATE deliveries SET due_at = ? WHERE id > 'dlv_00000100'", begun.Add(8*time.Hour))
				w.fire("file.created")
				w.exec("UPDATE wakes SET wake_at = ?", begun.Add(8*time.Hour))
				must(w.ChangeEndpoint(t.Context(), e, tt.change))(t)
				require.Equal(t, w.now(), w.wakes(e), "what waits there is to end")
				for _, left := range []int{1301, 301, 0} {
					w.pass(offerAgain)
					require.Contains(t, must(w.DueGates(t.Context(), 9))(t), e.String(), "the gate is looked at while some is left")
					require.Empty(t, w.claim(e))
					require.Equal(t, left, w.count("deliveries WHERE endpoint_id = ? AND state = 'waiting'", e.ID))
				}
				require.Zero(t, w.wakes(e))
				require.Equal(t, 2301, w.count("deliveries WHERE endpoint_id = ? AND state = 'cancelled' AND reason = ? AND ended_at > 0 AND due_at = 0", e.ID, tt.want))
				require.Len(t, w.claim(e, healthy), 1, "the others go on")
			})
		})
	}
}

// TestR17EndpointIsReadAtEachAttempt: URL, headers, timeout and schedule as they stand, and in a rotation both secrets
// until the overlap ends. A one-off stays as its submission froze it.
func TestR17EndpointIsReadAtEachAttempt(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		e := w.endpoint()
		w.fire("file.created")
		c := w.claimOne(e)
		old := c.Receiver.Keys.Secrets
		require.Len(t, old, 1)
		require.Equal(t, "POST", c.Receiver.Method)
		w.record(w.answered(c, 500))

		_, err := w.calls.RotateEndpointSecret(t.Context(), e, true)
		require.NoError(t, err)
		must(w.ChangeEndpoint(t.Context(), e, func(r *callbacks.Registered) error {
			r.Target.URL, r.Target.Headers, r.Timeout, r.Schedule = "https://new.example.com/", map[string]string{"X-New": "1"}, 20_000, callbacks.Schedule{0, 1}
			return nil
		}))(t)
		w.pass(5 * time.Minute)
		c = w.claimOne(e)
		require.Equal(t, "https://new.example.com/", c.Receiver.URL)
		require.Equal(t, map[string]string{"X-New": "1"}, c.Receiver.Headers)
		require.Equal(t, 20*time.Second, c.Receiver.Timeout)
		require.Equal(t, callbacks.Schedule{0, 1}, c.Receiver.Schedule)
		require.Len(t, c.Receiver.Keys.Secrets, 2)
		require.Equal(t, old[0], c.Receiver.Keys.Secrets[1], "the newest first")
		w.record(w.answered(c, 500))

		w.pass(24 * time.Hour)
		next := w.claimOne(e)
		require.Equal(t, c.Receiver.Keys.Secrets[:1], next.Receiver.Keys.Secrets, "the overlap is over")
		_, err = w.calls.RotateEndpointSecret(t.Context(), e, false)
		require.NoError(t, err)
		w.record(w.answered(next, 500))
		w.pass(24 * time.Hour)
		last := w.claimOne(e)
		require.Len(t, last.Receiver.Keys.Secrets, 1)
		require.NotEqual(t, next.Receiver.Keys.Secrets, last.Receiver.Keys.Secrets)
	})
}

// TestProjectSecretsRotate for the one-offs that name none; one that names its own keeps it.
func TestProjectSecretsRotate(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		own := signature.NewSecret()
		w.oneOff("own.example.com", func(n *jobs.NewJob) { n.Webhook.Secret = own })
		w.oneOff("a.example.com")
		w.oneOff("b.example.com")
		w.oneOff("c.example.com")
		before := w.claimOne(host("a.example.com")).Receiver.Keys.Secrets
		fresh, err := w.calls.RotateSecret(t.Context(), "default", true)
		require.NoError(t, err)
		require.Equal(t, []string{fresh, before[0]}, w.claimOne(host("b.example.com")).Receiver.Keys.Secrets)
		require.Equal(t, fresh, must(w.calls.Secret(t.Context(), "default"))(t))
		require.Equal(t, []string{own}, w.claimOne(host("own.example.com")).Receiver.Keys.Secrets)
		w.pass(24 * time.Hour)
		require.Equal(t, []string{fresh}, w.claimOne(host("c.example.com")).Receiver.Keys.Secrets)
		_, err = w.RotateSecrets(t.Context(), "none", func(s callbacks.Secrets) (callbacks.Secrets, error) { return s, nil })
		require.True(t, jobs.IsCode(err, jobs.CodeNotFound))
	})
}

// TestBrokenDeliveriesHoldUpNobody: what cannot be read is given as broken, and all others as ever.
func TestBrokenDeliveriesHoldUpNobody(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		require.NoError(t, w.ensureProject(t.Context(), "sealed", ""))
		in := func(project string) func(*jobs.NewJob) { return func(n *jobs.NewJob) { n.Job.ProjectID = project } }
		good, bad := w.endpoint(wants("file.created")), w.endpoint(wants("file.created"))
		w.fire("file.created")
		w.exec("UPDATE endpoints SET target = ? WHERE id = ?", []byte{0}, bad.ID)
		w.oneOff("spec.example.com")
		w.exec("UPDATE webhooks SET spec = ?", []byte{0})
		gone := w.oneOff("webhook.example.com")
		w.exec("DELETE FROM webhooks WHERE job_id = ?", gone.ID)
		gone = w.oneOff("event.example.com")
		w.exec("DELETE FROM events WHERE job_id = ?", gone.ID)
		w.oneOff("fine.example.com")
		w.oneOff("h", in("sealed"))
		w.exec("UPDATE projects SET private_key = ? WHERE project_id = 'sealed'", []byte{0})
		erased := w.endpoint(wants("file.deleted"))
		w.fire("file.deleted")
		w.exec("DELETE FROM endpoints WHERE id = ?", erased.ID)

		gates := []jobs.Ref{
			good, bad, erased, host("spec.example.com"), host("webhook.example.com"), host("event.example.com"), host("fine.example.com"),
			{ProjectID: "sealed", ID: "h"},
		}
		broken, fine := map[jobs.Ref]bool{}, map[jobs.Ref]bool{}
		for _, c := range w.claim(gates...) {
			if c.Broken != nil {
				broken[c.GateRef()] = true
				continue
			}
			fine[c.GateRef()] = true
			require.NoError(t, c.Receiver.Keys.Check())
			require.NotEmpty(t, c.Body)
		}
		for _, g := range gates {
			require.Equal(t, g != good && g != gates[6], broken[g], g.String())
		}
		require.Equal(t, map[jobs.Ref]bool{good: true, gates[6]: true}, fine)
	})
}

// TestFreedDeliveriesHaveAnInterruptedAttempt each, so that every callback that is ever repeated has its row.
func TestFreedDeliveriesHaveAnInterruptedAttempt(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		free   func(*world) error
		claims int
	}{
		{"at a start, for those who died", func(w *world) error { return w.FreeOthers(w.t.Context(), "new") }, 1},
		{"at a stop, for itself: the claim does not count", func(w *world) error { return w.FreeOwn(w.t.Context(), "own") }, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			onEach(t, func(t *testing.T, w *world) {
				e := w.endpoint(wants("file.created"))
				w.fire("file.created")
				w.record(w.answered(w.claimOne(e), 500))
				w.pass(time.Hour)
				held := w.claimOne(e)
				waits := w.endpoint(wants("file.deleted"))
				w.fire("file.deleted")
				w.exec("UPDATE deliveries SET claims = 1 WHERE endpoint_id = ? AND state = 'waiting'", waits.ID)
				before, _ := w.delivery(w.all(callbacks.DeliveryFilter{EndpointID: waits.ID})[0].Ref())
				w.exec("DELETE FROM wakes")
				require.NoError(t, tt.free(w))

				d, attempts := w.delivery(held.Ref())
				require.Equal(t, callbacks.Waiting, d.State)
				require.Empty(t, d.Owner)
				require.Equal(t, w.now(), d.DueAt)
				require.Equal(t, w.now(), w.wakes(e))
				require.Equal(t, 1, d.Tries, "it is no try")
				require.Equal(t, 2, d.Recorded)
				require.Equal(t, tt.claims, d.Claims)
				require.Len(t, attempts, 2)
				require.Equal(t, 2, attempts[1].Number)
				require.Equal(t, callbacks.ClassInterrupted, attempts[1].ErrorClass)
				same, none := w.delivery(before.Ref())
				require.Equal(t, before, same, "what nobody held stays as it was")
				require.Empty(t, none)
				require.Equal(t, 1, w.record(w.answered(held, 200)), "its late outcome is refused")
				require.Equal(t, 3, w.claimOne(e).Recorded+1, "the next attempt's number")
			})
		})
	}
}

// TestFreeLeavesOthersClaims: a start frees all but its own, a stop its own alone.
func TestFreeLeavesOthersClaims(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		e := w.endpoint()
		w.backlog(e, callbacks.Waiting, 2)
		w.pass(time.Second)
		one := func(owner string) []callbacks.Want {
			must(w.ClaimDeliveries(t.Context(), owner, []callbacks.Want{{Gate: e, Room: 1}}, w.now()))(t)
			return nil
		}
		one("a")
		one("b")
		require.NoError(t, w.FreeOwn(t.Context(), "a"))
		require.Equal(t, 1, w.count("deliveries WHERE state = 'sending' AND owner = 'b'"))
		require.Equal(t, 1, w.count("attempts"))
		one("a")
		require.NoError(t, w.FreeOthers(t.Context(), "a"))
		require.Equal(t, 1, w.count("deliveries WHERE state = 'sending' AND owner = 'a'"))
		require.Equal(t, 2, w.count("attempts"))
	})
}

// TestClaimThatCannotReadClaimsNothing in any of its steps.
func TestClaimThatCannotReadClaimsNothing(t *testing.T) {
	t.Parallel()
	for _, table := range []string{"gates", "endpoints", "events", "webhooks", "projects"} {
		t.Run(table, func(t *testing.T) {
			t.Parallel()
			onEach(t, func(t *testing.T, w *world) {
				w.oneOff("a.example.com")
				w.do(func(tx *gorm.DB) error { return tx.Exec("ALTER TABLE " + table + " RENAME TO hidden").Error })
				gates := append(behind(host("a.example.com")), behind(jobs.Ref{ProjectID: "default", ID: uuid.NewString()})...)
				_, err := w.ClaimDeliveries(t.Context(), "own", gates, w.now())
				require.Error(t, err)
				w.exec("ALTER TABLE hidden RENAME TO " + table)
				require.Len(t, w.claim(host("a.example.com")), 1)
			})
		})
	}
}
