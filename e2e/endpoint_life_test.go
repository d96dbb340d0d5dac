package e2e

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// An endpoint's life over the API: its secret is shown when it is made and never again, its headers never; an update
// changes what it names; one that is deleted is gone, for submissions too.
func TestEndpointLife(t *testing.T) {
	t.Parallel()
	s := startServer(t, append(openCallbacks(), startUpstream(t, nil).provider(""))...)
	hook := startReceiver(t)
	first := s.register(hook, `"batch.*"`, "")
	body := fmt.Sprintf(`{"name":"mine","url":"%s/in?token=t1","event_types":["generation.completed"],"headers":{"X-Mine":"m1"},"timeout":"3s","schedule":["0s","1s"]}`, hook.server.URL)
	made := s.call(http.StatusOK, "POST", endpointsPath, body)
	id, secret := made.get("id").String(), made.get("signing_secret").String()
	require.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, id)
	require.Regexp(t, `^whsec_[A-Za-z0-9+/]{43}=$`, secret)

	shown := s.read(endpointsPath + "/" + id)
	require.False(t, shown.get("signing_secret").Exists())
	require.Equal(t, "…"+secret[len(secret)-4:], shown.get("signing_secret_hint").String())
	require.Equal(t, "***", shown.get("headers.X-Mine").String())
	require.Equal(t, hook.server.URL+"/in?token=***", shown.get("url").String())
	require.Equal(t, "3s", shown.get("timeout").String())
	require.JSONEq(t, `["0s","1s"]`, shown.get("schedule").Raw)
	list := s.read(endpointsPath + "?limit=1")
	require.Equal(t, id, list.get("data.0.id").String(), "newest first")
	require.True(t, list.get("has_more").Bool())
	require.JSONEq(t, string(shown.body), list.get("data.0").Raw)
	rest := s.read(endpointsPath + "?after=" + id)
	require.Equal(t, first.id, rest.get("data.0.id").String())
	require.False(t, rest.get("has_more").Bool())

	// What was read may be written back: what is hidden stays as it was.
	s.call(http.StatusOK, "POST", endpointsPath+"/"+id, fmt.Sprintf(`{"url":%s,"headers":{"X-Mine":"***","X-More":"m2"},"name":"ours"}`, shown.get("url").Raw))
	require.Equal(t, "ours", s.read(endpointsPath+"/"+id).get("name").String())
	job := s.generate("hello", "")
	c := hook.wait(job, "generation.completed")
	require.Equal(t, []string{"token=t1", "m1", "m2"}, []string{c.query, c.header.Get("X-Mine"), c.header.Get("X-More")})
	require.NoError(t, c.verify(secret))
	require.Error(t, c.verify(s.secret()), "an endpoint's own secret signs, and no other")

	gone := s.call(http.StatusOK, "DELETE", endpointsPath+"/"+id, "")
	require.JSONEq(t, fmt.Sprintf(`{"id":%q,"object":"webhook_endpoint.deleted","deleted":true}`, id), string(gone.body))
	for _, row := range []struct{ method, path, body string }{
		{"GET", "", ""}, {"POST", "", `{"name":"x"}`}, {"DELETE", "", ""}, {"POST", "/rotate_secret", ""}, {"POST", "/test", ""}, {"POST", "/replay", `{"since":1}`},
	} {
		refused(t, s.call(http.StatusNotFound, row.method, endpointsPath+"/"+id+row.path, row.body))
	}
	require.Len(t, s.read(endpointsPath).get("data").Array(), 1)
	e := refused(t, s.call(http.StatusBadRequest, "POST", "/v1/generate", fmt.Sprintf(`{"model":"m","input":"hi","webhook_ids":[%q]}`, id)))
	require.Contains(t, e.Get("message").String(), id)
}

// Both secrets sign while a rotation's old one is kept; without keep the old one is void at once.
func TestRotatedSecretsOverlap(t *testing.T) {
	t.Parallel()
	s := startServer(t, append(openCallbacks(), startUpstream(t, nil).provider(""))...)
	e := s.register(startReceiver(t), `"generation.completed"`, "")
	next := func() callback { return e.wait(s.generate("hello", ""), "generation.completed") }
	rotate := func(body string) string {
		return s.call(http.StatusOK, "POST", e.path()+"/rotate_secret", body).get("signing_secret").String()
	}
	require.NoError(t, next().verify(e.secret))
	second := rotate(`{"keep_old_secret_active_for_24_hours":true}`)
	c := next()
	require.NoError(t, c.verify(e.secret))
	require.NoError(t, c.verify(second))
	require.NoError(t, bodyHMACOf(e.secret, "X-Ringback-Signature")(c), "one that knows one signature alone goes on with the old secret")
	third := rotate(`{}`)
	c = next()
	require.Error(t, c.verify(e.secret))
	require.Error(t, c.verify(second))
	require.NoError(t, c.verify(third))
	require.NoError(t, bodyHMACOf(third, "X-Ringback-Signature")(c))
}

// A test fire is sent at once, signed like any callback and marked as a test, and leaves nothing behind.
func TestTestFire(t *testing.T) {
	t.Parallel()
	s := startServer(t, append(openCallbacks(), startUpstream(t, nil).provider(""))...)
	e := s.register(startReceiver(t), `"batch.completed"`, "")
	for _, typ := range s.read("/v1/webhook_event_types").get("data").Array() {
		a := s.call(http.StatusOK, "POST", e.path()+"/test", fmt.Sprintf(`{"event_type":%q}`, typ.String()))
		require.True(t, a.get("success").Bool(), "%s", a.body)
		require.Equal(t, []string{"webhook_endpoint.test", e.id, typ.String(), "200"},
			[]string{a.get("object").String(), a.get("webhook_endpoint_id").String(), a.get("event_type").String(), a.get("status_code").String()})
		got := e.all()
		c := got[len(got)-1]
		require.NoError(t, c.verify(e.secret))
		require.Equal(t, typ.String(), c.get("type").String())
		require.True(t, c.get("test").Bool())
		require.True(t, c.get("data.object").IsObject(), "%s", c.body)
	}
	e.saying(http.StatusTeapot, "")
	s.call(http.StatusOK, "POST", e.path(), `{"is_active":false}`)
	a := s.call(http.StatusOK, "POST", e.path()+"/test", "")
	require.False(t, a.get("success").Bool())
	require.Equal(t, "webhook.test", a.get("event_type").String())
	require.EqualValues(t, http.StatusTeapot, a.get("attempt.status_code").Int(), "%s", a.body)
	refused(t, s.call(http.StatusBadRequest, "POST", e.path()+"/test", `{"event_type":"batch.nonsense"}`))
	require.Empty(t, s.events(""))
	require.Empty(t, s.deliveries(""))
}
