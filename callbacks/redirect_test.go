package callbacks

import (
	"crypto/tls"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// S5, S6: no redirect is followed, wherever it leads: one request, a failure, and tried again by the schedule.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	second := receive(t, nil)
	t.Cleanup(func() { require.Empty(t, second.messages()) })
	for row, target := range map[string]string{
		"S5 another host": second.URL, "S5 metadata": "http://169.254.169.254/latest/meta-data/", "S5 loop": "/again",
		"S5 a file": "file:///etc/passwd", "S6 no Location": "", "S5 a Location that does not parse": "http://[",
	} {
		for _, code := range []int{300, 301, 302, 303, 304, 305, 307, 308} {
			t.Run(row+" "+strconv.Itoa(code), func(t *testing.T) {
				t.Parallel()
				first := receive(t, func(w http.ResponseWriter, _ *http.Request) {
					if target != "" {
						w.Header().Set("Location", target)
					}
					w.WriteHeader(code)
				})
				requireRedirect(t, post(t, openPoster(t), first.URL), code)
				require.Len(t, first.messages(), 1)
			})
		}
	}
}

func requireRedirect(t *testing.T, r Result, code int) {
	t.Helper()
	require.Equal(t, code, r.StatusCode)
	require.Equal(t, ClassRedirect, r.ErrorClass)
	d := steady().Decide(r, 1, time.Now())
	require.Equal(t, Waiting, d.State)
	require.Equal(t, "redirect", d.Reason)
}

// S5: nor from https down to http.
func TestDowngradeIsNotFollowed(t *testing.T) {
	t.Parallel()
	second := receive(t, nil)
	ca := newAuthority(t)
	first := &receiver{}
	cert := ca.issue(t, "receiver.test", time.Now().Add(time.Hour))
	answer := func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, second.URL, http.StatusTemporaryRedirect)
	}
	startTLS(t, first, answer, &tls.Config{Certificates: []tls.Certificate{cert}}, true)
	dns := resolver(t, names(map[string][]string{"receiver.test": {"127.0.0.1"}}))
	p := poster(t, ClientOptions{Rules: openRules(), Resolver: dns, CAFile: ca.file})
	requireRedirect(t, post(t, p, "https://receiver.test"+first.URL[strings.LastIndex(first.URL, ":"):]), 307)
	require.Len(t, first.messages(), 1)
	require.Empty(t, second.messages())
}
