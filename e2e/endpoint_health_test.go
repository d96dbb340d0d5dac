package e2e

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// saying has a receiver answer with a status and a wish (Standard Webhooks), from now on.
func (r *receiver) saying(status int, wish string) {
	r.answers(func(w http.ResponseWriter, _ callback) {
		if wish != "" {
			w.Header().Set("webhook-delivery", wish)
		}
		w.WriteHeader(status)
	})
}

// R6, R7, R17: an endpoint that says it is gone, asks to be switched off, is switched off or is deleted gets nothing
// more: what waits for it ends with the reason, and others are told. Switched on again, a replay brings what it missed.
func TestEndpointThatIsOffGetsNothing(t *testing.T) {
	t.Parallel()
	s := startServer(t, append(openCallbacks(), startUpstream(t, nil).provider(""), "callbacks.schedule=[0s,1h,1h]")...)
	watcher := s.register(startReceiver(t), `"endpoint.*","delivery.*"`, "")
	for _, row := range []struct {
		name, reason, waiting string // of the delivery in hand, and of those that waited
		told                  bool
		off                   func(e endpoint)
	}{
		{"410", "gone", "endpoint_disabled", true, func(e endpoint) { e.saying(http.StatusGone, "") }},
		{"webhook-delivery: disable", "disable", "endpoint_disabled", true, func(e endpoint) { e.saying(http.StatusServiceUnavailable, "disable") }},
		{"its owner", "", "endpoint_disabled", false, func(e endpoint) { s.call(http.StatusOK, "POST", e.path(), `{"is_active":false}`) }},
		{"deleted", "", "endpoint_deleted", false, func(e endpoint) { s.call(http.StatusOK, "DELETE", e.path(), "") }},
	} {
		t.Run(row.name, func(t *testing.T) {
			e := s.register(startReceiver(t), `"generation.completed"`, "")
			e.saying(http.StatusInternalServerError, "")
			since := time.Now()
			var jobs []string
			for range 3 {
				jobs = append(jobs, s.generate("hello", ""))
			}
			e.arrived(len(jobs))
			s.eventually("all wait for their next try", func() bool { return len(s.deliveries("status=waiting&endpoint_id="+e.id)) == len(jobs) })
			row.off(e)
			if row.reason != "" {
				jobs = append(jobs, s.generate("hello", "")) // the one that hears of it
			}
			s.eventually("nothing waits any more", func() bool {
				return len(s.deliveries("endpoint_id="+e.id)) == len(jobs) && len(s.deliveries("status=waiting&endpoint_id="+e.id))+len(s.deliveries("status=sending&endpoint_id="+e.id)) == 0
			})
			for i, d := range s.deliveries("endpoint_id=" + e.id) {
				want := []string{"cancelled", row.waiting}
				if i == 3 {
					want = []string{"failed", row.reason}
				}
				require.Equal(t, want, []string{d.Get("status").String(), d.Get("reason").String()}, "%s", d.Raw)
			}
			if row.told {
				told := watcher.wait(e.id, "endpoint.disabled")
				require.NoError(t, told.verify(watcher.secret))
				require.JSONEq(t, `{"scope":"COLLECTION","keys":["webhook_endpoints"]}`, told.get("cache_scope_to_invalidate").Raw)
				require.Equal(t, row.reason, told.get("data.object.disabled_reason").String())
				require.False(t, s.read(e.path()).get("is_active").Bool())
			}
			before := len(e.all())
			s.ended(s.generate("hello", "")) // an event that it does not get
			if row.waiting == "endpoint_deleted" {
				require.Len(t, s.deliveries("endpoint_id="+e.id), len(jobs))
				return
			}
			refused(t, s.call(http.StatusConflict, "POST", e.path()+"/replay", fmt.Sprintf(`{"since":%d}`, since.Unix())))
			require.Len(t, e.all(), before)
			e.saying(http.StatusOK, "")
			s.call(http.StatusOK, "POST", e.path(), `{"is_active":true}`)
			a := s.call(http.StatusOK, "POST", e.path()+"/replay", fmt.Sprintf(`{"since":%d}`, since.Unix()))
			require.GreaterOrEqual(t, a.get("replayed").Int(), int64(len(jobs)+1), "what it failed to take, and what came while it was off")
			s.recovers(t, e, since)
			require.EqualValues(t, 0, s.call(http.StatusOK, "POST", e.path()+"/replay", fmt.Sprintf(`{"since":%d}`, since.Unix())).get("replayed").Int(), "nothing is missing")
		})
	}
}

// recovers wants an endpoint to have taken every generation's end since a moment.
func (s *server) recovers(t *testing.T, e endpoint, since time.Time) {
	t.Helper()
	for _, event := range s.events("") {
		if event.Get("type").String() != "generation.completed" || event.Get("created").Int() < since.Unix() {
			continue
		}
		s.eventually("the replay has arrived", func() bool {
			d := s.deliveries("endpoint_id=" + e.id + "&event_id=" + event.Get("id").String())
			return len(d) == 1 && d[0].Get("status").String() == "delivered"
		})
	}
}

// R7: abort-message ends the one delivery, and nothing else.
func TestAbortMessageEndsOneDelivery(t *testing.T) {
	t.Parallel()
	s := startServer(t, append(openCallbacks(), startUpstream(t, nil).provider(""), "callbacks.schedule=[0s,1h]")...)
	e := s.register(startReceiver(t), `"generation.completed"`, "")
	watcher := s.register(startReceiver(t), `"delivery.exhausted"`, "")
	e.saying(http.StatusInternalServerError, "abort-message")
	job := s.generate("hello", "")
	d := s.settled(job)[0]
	require.Equal(t, []string{"failed", "abort-message"}, []string{d.Get("status").String(), d.Get("reason").String()})
	require.True(t, s.read(e.path()).get("is_active").Bool())
	c := watcher.wait(d.Get("id").String(), "delivery.exhausted")
	require.Equal(t, d.Get("event_id").String(), c.get("data.object.event_id").String())
	e.saying(http.StatusOK, "")
	require.Equal(t, "delivered", s.settled(s.generate("hello", ""))[0].Get("status").String())
}

// R16: a retry by hand takes the place of the scheduled one; of one that was delivered it sends again; each is marked.
func TestRetryByHand(t *testing.T) {
	t.Parallel()
	s := startServer(t, append(openCallbacks(), startUpstream(t, nil).provider(""), "callbacks.schedule=[0s,1500ms,1h]")...)
	e := s.register(startReceiver(t), `"generation.completed"`, `,"headers":{"X-Mine":"m1"}`)
	e.saying(http.StatusInternalServerError, "")
	job := s.generate("hello", "")
	e.arrived(1)
	var id string
	s.eventually("it waits for its next try", func() bool {
		waiting := s.deliveries("status=waiting&job_id=" + job)
		if len(waiting) == 1 {
			id = waiting[0].Get("id").String()
		}
		return len(waiting) == 1
	})
	e.saying(http.StatusAccepted, "")
	retry := "/v1/deliveries/" + id + "/retry"
	a := s.call(http.StatusOK, "POST", retry, "")
	require.Equal(t, "waiting", a.get("status").String())
	e.arrived(2)
	s.settled(job)
	time.Sleep(1700 * time.Millisecond) // the time of the scheduled retry passes
	require.Len(t, e.all(), 2, "the scheduled retry was superseded")
	s.call(http.StatusOK, "POST", retry, "")
	got := e.arrived(3)
	s.settled(job)
	d := s.read("/v1/deliveries/" + id)
	require.Equal(t, "delivered", d.get("status").String())
	attempts := d.get("attempts").Array()
	require.Len(t, attempts, 3)
	for i, want := range []struct {
		status int64
		manual bool
	}{{500, false}, {202, true}, {202, true}} {
		at := attempts[i]
		require.Equal(t, want.status, at.Get("status_code").Int())
		require.Equal(t, want.manual, at.Get("manual").Bool(), "%s", at.Raw)
		require.NotEmpty(t, at.Get("rule").String())
		require.Equal(t, "POST", at.Get("request.method").String())
		require.Equal(t, "***", at.Get("request.headers.X-Mine").String())
		require.NotContains(t, at.Raw, got[i].header.Get("webhook-signature"))
		require.Contains(t, at.Get("request.headers").Raw, `"Webhook-Signature":"***"`)
		require.EqualValues(t, len(got[i].body), at.Get("request.bytes").Int())
		require.True(t, at.Get("timings").IsObject())
		require.Equal(t, fmt.Sprint(i+1), got[i].attempt())
		require.Equal(t, got[0].id(), got[i].id())
	}
	s.call(http.StatusOK, "DELETE", e.path(), "")
	refused(t, s.call(http.StatusConflict, "POST", retry, ""))
	refused(t, s.call(http.StatusNotFound, "POST", "/v1/deliveries/dlv_none/retry", ""))
}

// All that never arrived is retried at once: dead letters and what was cancelled, one-offs and endpoints alike.
func TestRetryWhatNeverArrived(t *testing.T) {
	t.Parallel()
	s := startServer(t, append(openCallbacks(), startUpstream(t, nil).provider(""), "callbacks.schedule=[0s]")...)
	e := s.register(startReceiver(t), `"generation.completed"`, "")
	oneOff := startReceiver(t)
	e.saying(http.StatusInternalServerError, "")
	oneOff.saying(http.StatusBadGateway, "")
	const lost, fine = 6, 5 // fewer than shut the gate
	var jobs []string
	for range lost {
		jobs = append(jobs, s.generate("hello", oneOff.field()))
	}
	for _, job := range jobs {
		s.settled(job)
	}
	e.saying(http.StatusOK, "")
	oneOff.saying(http.StatusOK, "")
	for range fine {
		s.settled(s.generate("hello", ""))
	}
	require.Len(t, s.deliveries("status=failed"), 2*lost)
	require.Len(t, s.deliveries("never_arrived=true"), 2*lost)
	refused(t, s.call(http.StatusBadRequest, "POST", "/v1/deliveries/retry", `{}`))
	of := s.call(http.StatusOK, "POST", "/v1/deliveries/retry", fmt.Sprintf(`{"job_id":%q,"endpoint_id":%q}`, jobs[0], e.id))
	require.EqualValues(t, 1, of.get("retried").Int())
	s.quiet()
	a := s.call(http.StatusOK, "POST", "/v1/deliveries/retry", `{"never_arrived":true}`)
	require.EqualValues(t, 2*lost-1, a.get("retried").Int())
	s.quiet()
	require.Empty(t, s.deliveries("never_arrived=true"))
	require.Len(t, s.deliveries("status=delivered"), 2*lost+fine)
	require.Len(t, e.all(), 2*lost+fine, "what had arrived was not sent again")
	require.Len(t, oneOff.all(), 2*lost)
}
