package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Each end of a batch and of a generation arrives, signed with the submission's own secret, and shows what polling
// answers.
func TestEveryTerminalEventArrives(t *testing.T) {
	t.Parallel()
	const secret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
	up := startUpstream(t, func(body string) reply {
		switch prompt(body) {
		case "slow":
			return reply{wait: time.Hour}
		case "bad":
			return reply{status: 400, body: `{"error":{"message":"no","type":"invalid_request_error","param":null,"code":"bad"}}`}
		}
		return reply{body: completion("answer to " + prompt(body))}
	})
	hook := startReceiver(t)
	s := startServer(t, append(openCallbacks(), up.provider(""))...)
	webhook := fmt.Sprintf(`,"webhook":{"url":"%s/in?token=t1","method":"PUT","headers":{"X-Mine":"m1"},"secret":%q},"metadata":{"k":"v"}`, hook.server.URL, secret)
	slow := s.input(line("a", ask("slow")))
	for _, row := range []struct {
		typ, path string
		submit    func() string
		cancel    bool
	}{
		{"batch.completed", "/v1/batches/", func() string { return s.batch(s.input(numbered(3, 0)), webhook) }, false},
		{"batch.failed", "/v1/batches/", func() string { return s.batch("file-none", webhook) }, false},
		{"batch.cancelled", "/v1/batches/", func() string { return s.batch(slow, webhook) }, true},
		{"generation.completed", "/v1/generate/", func() string { return s.generate("hello", webhook) }, false},
		{"generation.failed", "/v1/generate/", func() string { return s.generate("bad", webhook) }, false},
		{"generation.cancelled", "/v1/generate/", func() string { return s.generate("slow", webhook) }, true},
	} {
		t.Run(row.typ, func(t *testing.T) {
			job := row.submit()
			if row.cancel {
				s.cancel(http.StatusOK, row.path+job)
			}
			polled := s.ended(job)
			c := hook.wait(job, row.typ)
			require.NoError(t, c.verify(secret))
			require.Equal(t, http.MethodPut, c.method)
			require.Equal(t, "token=t1", c.query)
			require.Equal(t, "m1", c.header.Get("X-Mine"))
			require.Equal(t, "application/json", c.header.Get("Content-Type"))
			require.Equal(t, "1", c.attempt())
			require.JSONEq(t, string(polled.body), c.get("data.object").Raw)
			s.sameEvent(t, c, job, row.typ)
			require.Equal(t, "delivered", s.settled(job)[0].Get("status").String())
		})
	}
	require.Len(t, hook.all(), 6, "each end is told once")
}

// sameEvent wants a callback to be the event that is listed, and whole by the contract.
func (c *client) sameEvent(t *testing.T, got callback, job, typ string) {
	t.Helper()
	listed := c.oneEnd(job, typ)
	require.Equal(t, listed.Raw, string(got.body), "the event's bytes are frozen")
	require.Equal(t, got.id(), listed.Get("id").String())
	require.Equal(t, got.id(), listed.Get("event_id").String())
	require.Equal(t, "event", listed.Get("object").String())
	require.Equal(t, listed.Get("created").Int(), listed.Get("created_at").Int())
	require.EqualValues(t, len(c.events(job)), listed.Get("sequence").Int(), "the last of its job's events")
	require.JSONEq(t, fmt.Sprintf(`{"scope":"KEY","keys":[%q]}`, job), listed.Get("cache_scope_to_invalidate").Raw)
	if strings.HasPrefix(typ, "generation.") {
		require.Equal(t, strings.TrimPrefix(typ, "generation."), listed.Get("status").String())
		require.Equal(t, "m", listed.Get("model").String())
		require.Positive(t, listed.Get("timestamp").Int())
		require.Equal(t, listed.Get("data.object.model_output").String(), listed.Get("model_output").String())
		require.True(t, listed.Get("model_output").Exists())
	}
}

// A receiver that fails twice gets its callback on the third attempt: each is recorded with its rule, all carry one
// webhook-id, each is signed for its own moment.
func TestFailingReceiverIsTriedAgain(t *testing.T) {
	t.Parallel()
	hook := startReceiver(t, 500, 500, 200)
	s := startServer(t, append(openCallbacks(), "callbacks.schedule=[0s,200ms,300ms,1s]", startUpstream(t, nil).provider(""))...)
	secret := s.secret()
	job := s.generate("hello", hook.field())
	s.ended(job)
	d := s.settled(job)
	require.Len(t, d, 1)
	require.Equal(t, "delivered", d[0].Get("status").String(), "%s", d[0].Raw)
	attempts := d[0].Get("attempts").Array()
	require.Len(t, attempts, 3, "%s", d[0].Raw)
	for i, want := range []struct {
		status int64
		rule   string
	}{{500, "retry 2 of 4"}, {500, "retry 3 of 4"}, {200, "delivered"}} {
		require.Equal(t, want.status, attempts[i].Get("status_code").Int())
		require.Contains(t, attempts[i].Get("rule").String(), want.rule)
	}
	hook.onlyOnce(job, secret)
	got := hook.all()
	require.Len(t, got, 3)
	for i, c := range got {
		require.Equal(t, d[0].Get("event_id").String(), c.id())
		require.Equal(t, fmt.Sprint(i+1), c.attempt())
		require.Equal(t, got[0].body, c.body)
	}
}

// A receiver that never takes it leaves a dead letter; a restart between attempts loses none of them.
func TestDeadReceiverLeavesADeadLetter(t *testing.T) {
	t.Parallel()
	hook := startReceiver(t, 500, 500, 500, 500)
	s := startServer(t, append(openCallbacks(), "callbacks.schedule=[0s,100ms,100ms]", startUpstream(t, nil).provider(""))...)
	job := s.generate("hello", hook.field())
	eventually(t, "the first attempt was made", func() bool { return len(hook.all()) == 1 })
	s.stop()
	s.restart()
	d := s.settled(job)
	require.Equal(t, "failed", d[0].Get("status").String(), "%s", d[0].Raw)
	require.Equal(t, "status_500", d[0].Get("reason").String())
	require.Len(t, d[0].Get("attempts").Array(), 3)
	require.Contains(t, d[0].Get("attempts.2.rule").String(), "given up")
	require.Len(t, hook.all(), 3)
}

// A result over limits.event_bytes stays out of the callback, which says where to fetch it.
func TestLongResultIsFetched(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("long ", 100_000)
	up := startUpstream(t, func(string) reply { return reply{body: completion(long)} })
	hook := startReceiver(t)
	s := startServer(t, append(openCallbacks(), up.provider(""))...)
	job := s.generate("hello", hook.field())
	c := hook.wait(job, "generation.completed")
	require.NoError(t, c.verify(s.secret()))
	require.Less(t, len(c.body), 256<<10)
	require.True(t, c.get("response_omitted").Bool())
	require.Equal(t, `""`, c.get("model_output").Raw)
	where := strings.TrimPrefix(c.get("result_url").String(), s.url)
	require.Equal(t, long, s.read(where).get("detail.model_output").String())
	require.Equal(t, long, s.ended(job).get("model_output").String())
}

// Without a webhook nobody is called, but the event stands.
func TestWithoutWebhookTheEventStands(t *testing.T) {
	t.Parallel()
	s := startServer(t, startUpstream(t, nil).provider(""))
	job := s.generate("hello", "")
	done := s.ended(job)
	event := s.oneEnd(job, "generation.completed")
	require.JSONEq(t, string(done.body), event.Get("data.object").Raw)
	require.Empty(t, s.read("/v1/jobs/"+job+"/deliveries").get("data").Array())
}

// By default a callback goes to public addresses over https alone, and the refusal names the setting that opens it.
func TestStrictByDefault(t *testing.T) {
	t.Parallel()
	hook := startReceiver(t)
	s := startServer(t, startUpstream(t, nil).provider(""))
	file := s.input(numbered(1, 0))
	for _, row := range []struct{ name, url, setting string }{
		{"plain http", hook.server.URL, "callbacks.allow_http"},
		{"loopback", "https://127.0.0.1/hook", "callbacks.allow_cidrs"},
		{"loopback as a number", "https://2130706433/hook", ""},
		{"metadata", "https://169.254.169.254/latest", ""},
		{"another port", "https://example.com:8443/hook", "callbacks.allow_ports"},
	} {
		t.Run(row.name, func(t *testing.T) {
			webhook := fmt.Sprintf(`"webhook":%q`, row.url)
			for path, body := range map[string]string{
				"/v1/generate": `{"model":"m","input":"hi",` + webhook + `}`,
				"/v1/batches":  fmt.Sprintf(`{"input_file_id":%q,"endpoint":%q,"completion_window":"24h",%s}`, file, chat, webhook),
			} {
				e := refused(t, s.call(http.StatusBadRequest, "POST", path, body))
				require.Equal(t, "webhook.url", e.Get("param").String())
				require.Contains(t, e.Get("message").String(), row.setting)
			}
		})
	}
	require.Empty(t, s.read("/v1/jobs").get("data").Array())
	require.Empty(t, hook.all())
}

// A callback that points at the server itself is refused, however much is open.
func TestCallbackToItselfIsRefused(t *testing.T) {
	t.Parallel()
	s := startServer(t, openCallbacks()...)
	for _, url := range []string{s.url + "/v1/generate", strings.Replace(s.url, "127.0.0.1", "localhost", 1)} {
		e := refused(t, s.call(http.StatusBadRequest, "POST", "/v1/generate", fmt.Sprintf(`{"model":"sim-small","input":"hi","webhook":%q}`, url)))
		require.Equal(t, "webhook.url", e.Get("param").String())
	}
}
