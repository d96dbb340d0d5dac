package e2e

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
)

// tripwire is a listener on loopback that counts whoever knocks.
func tripwire(t *testing.T) (url string, knocks *atomic.Int64) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	knocks = &atomic.Int64{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			knocks.Add(1)
			c.Close()
		}
	}()
	t.Cleanup(func() {
		listener.Close()
		<-done
	})
	return "http://" + listener.Addr().String(), knocks
}

// S1: with callbacks closed again, no path sends to an address that was written while they were open: not a first send,
// a retry by the schedule or by hand, a replay or a test fire. Each is blocked by name, and no packet leaves.
func TestEveryPathIsGuarded(t *testing.T) {
	t.Parallel()
	url, knocks := tripwire(t)
	up := startUpstream(t, nil)
	open := append(openCallbacks(), up.provider(""), "callbacks.schedule=[300ms"+strings.Repeat(",300ms", 9)+"]")
	s := startServer(t, open...)
	made := s.call(http.StatusOK, "POST", endpointsPath, fmt.Sprintf(`{"url":"%s/hook","event_types":["generation.completed"]}`, url))
	e := endpointsPath + "/" + made.get("id").String()
	webhook := fmt.Sprintf(`,"webhook":"%s/hook"`, url)
	tried := s.generate("tried", webhook)
	s.eventually("each receiver was tried", func() bool { return knocks.Load() >= 2 })
	s.eventually("both deliveries wait for a retry", func() bool {
		all := s.read("/v1/jobs/" + tried + "/deliveries").get("data").Array()
		return len(all) == 2 && all[0].Get("status").String() == "waiting" && all[1].Get("status").String() == "waiting"
	})
	untried := s.generate("untried", webhook) // its first send comes after its wait of 300 ms: in the next life
	s.ended(untried)
	s.stop()
	before := knocks.Load()

	for life, row := range []struct{ name, class, more string }{
		{"all but the address is open", "blocked_address", "callbacks.allow_http=true"},
		{"nothing is open", "not_allowed", "callbacks.allow_http=false"},
	} {
		name, class := row.name, row.class
		s.settings = []string{up.provider(""), "callbacks.schedule=[300ms,300ms]", row.more, "callbacks.allow_ports=[1-65535]"}
		s.restart()
		for _, job := range []string{tried, untried} {
			for _, d := range s.settled(job) {
				if life == 0 { // a first send, and a retry by the schedule
					s.blocked(t, name, class, d)
				}
			}
		}
		a := s.call(http.StatusOK, "POST", e+"/test", "")
		require.False(t, a.get("success").Bool())
		require.Equal(t, class, a.get("attempt.error_class").String(), "a test fire, %s", name)
		for _, d := range s.deliveries("job_id=" + tried) {
			id := d.Get("id").String()
			s.call(http.StatusOK, "POST", "/v1/deliveries/"+id+"/retry", "")
			s.settled(tried)
			s.blocked(t, name, class, s.read("/v1/deliveries/"+id).get("@this"))
		}
		a = s.call(http.StatusOK, "POST", e+"/replay", `{"since":1,"missing":false}`)
		require.Positive(t, a.get("replayed").Int())
		fresh := s.generate("fresh", "") // a first send to what was registered
		for _, job := range []string{fresh, tried} {
			s.ended(job)
			for _, d := range s.settled(job) {
				s.blocked(t, name, class, d)
			}
		}
		for _, body := range []string{fmt.Sprintf(`{"url":%q}`, url), `{"url":"https://169.254.169.254/x"}`, `{"url":"https://[::ffff:127.0.0.1]/"}`, `{"url":"https://2130706433/"}`} {
			require.Equal(t, "url", refused(t, s.call(http.StatusBadRequest, "POST", e, body)).Get("param").String())
			create := strings.TrimSuffix(body, "}") + `,"event_types":["*"]}`
			require.Equal(t, "url", refused(t, s.call(http.StatusBadRequest, "POST", endpointsPath, create)).Get("param").String())
		}
		require.Equal(t, before, knocks.Load(), "%s: no packet leaves", name)
		s.stop()
	}
}

// blocked wants a delivery to have ended for its address, and to name none.
func (s *server) blocked(t *testing.T, settings, class string, d gjson.Result) {
	t.Helper()
	require.Equal(t, []string{"failed", class}, []string{d.Get("status").String(), d.Get("reason").String()}, "%s: %s", settings, d.Raw)
	attempts := d.Get("attempts").Array()
	last := attempts[len(attempts)-1]
	require.Equal(t, class, last.Get("error_class").String())
	require.NotContains(t, last.Get("rule").String(), "127.0.0.1")
}

// R27: a callback never leads to the server itself, on whichever path, however much is open; and one that comes back
// over others is refused by its header.
func TestCallbacksDoNotLoop(t *testing.T) {
	t.Parallel()
	up := startUpstream(t, nil)
	s := startServer(t, append(openCallbacks(), up.provider(""), "callbacks.schedule=[0s]")...)
	own := s.url + "/v1/generate"
	for _, url := range []string{own, strings.Replace(own, "127.0.0.1", "0.0.0.0", 1), strings.Replace(own, "127.0.0.1", "localhost", 1)} {
		e := refused(t, s.call(http.StatusBadRequest, "POST", endpointsPath, fmt.Sprintf(`{"url":%q,"event_types":["*"]}`, url)))
		require.Equal(t, "url", e.Get("param").String(), url)
	}
	// A name that leads here is no literal; an address that another life wrote is known at the POST alone.
	hook := startReceiver(t)
	e := s.register(hook, `"generation.completed"`, "")
	refused(t, s.call(http.StatusBadRequest, "POST", e.path(), fmt.Sprintf(`{"url":%q}`, own)))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	s.call(http.StatusOK, "POST", e.path(), fmt.Sprintf(`{"url":"http://%s/v1/generate"}`, address))
	require.NoError(t, listener.Close())
	s.stop()
	s.settings = append(s.settings, "server.listen="+address)
	s.restart()
	require.Equal(t, "http://"+address, s.url)
	a := s.call(http.StatusOK, "POST", e.path()+"/test", "")
	require.Equal(t, "self_address", a.get("attempt.error_class").String(), "%s", a.body)
	job := s.generate("hello", "")
	d := s.settled(job)[0]
	require.Equal(t, []string{"failed", "self_address"}, []string{d.Get("status").String(), d.Get("reason").String()})
	s.call(http.StatusOK, "POST", e.path()+"/replay", fmt.Sprintf(`{"event_id":%q}`, d.Get("event_id").String()))
	d = s.settled(job)[0]
	require.Equal(t, []string{"failed", "self_address"}, []string{d.Get("status").String(), d.Get("reason").String()})
	require.Len(t, d.Get("attempts").Array(), 2)
	require.Len(t, s.read("/v1/jobs").get("data").Array(), 1, "no callback made a job")

	for _, path := range []string{"/v1/generate", endpointsPath, e.path() + "/test", "/v1/deliveries/retry"} {
		refused(t, s.call(http.StatusLoopDetected, "POST", path, `{"model":"m","input":"hi"}`, "X-Ringback-Attempt", "1"))
	}
}
