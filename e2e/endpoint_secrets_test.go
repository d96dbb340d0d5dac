package e2e

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// S9: what an endpoint keeps secret (its headers' values, its URL's query, its signing secrets, old and new) stands in
// no answer but the one that makes it, in no event, no log and no file.
func TestEndpointSecretsComeOutNowhere(t *testing.T) {
	t.Parallel()
	s := startServer(t, append(openCallbacks(), startUpstream(t, nil).provider(""), "log.level=debug", "callbacks.schedule=[0s,50ms]")...)
	hook, bad := startReceiver(t), startReceiver(t)
	bad.saying(http.StatusGone, "") // its endpoint is disabled, with an event that shows it
	watcher := s.register(startReceiver(t), `"*"`, "")
	secrets := map[string]string{"header": "canary-endpoint-header-31", "query": "canary-endpoint-query-32", "new header": "canary-endpoint-header-33"}
	keep := func(name, secret string) {
		secrets[name] = secret
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		require.NoError(t, err)
		secrets[name+"'s key"] = string(key)
	}
	var ids []string
	for i, r := range []*receiver{hook, bad} {
		body := fmt.Sprintf(`{"url":"%s/in?token=%s","event_types":["generation.*"],"headers":{"X-Token":%q}}`, r.server.URL, secrets["query"], secrets["header"])
		made := s.call(http.StatusOK, "POST", endpointsPath, body, "Idempotency-Key", fmt.Sprint("key-", i))
		keep(fmt.Sprint("secret ", i), made.get("signing_secret").String())
		ids = append(ids, made.get("id").String())
	}
	s.ended(s.generate("hello", ""))
	s.quiet()
	one := endpointsPath + "/" + ids[0]
	rotated := s.call(http.StatusOK, "POST", one+"/rotate_secret", `{"keep_old_secret_active_for_24_hours":true}`)
	keep("rotated secret", rotated.get("signing_secret").String())
	updated := s.call(http.StatusOK, "POST", one, fmt.Sprintf(`{"headers":{"X-Token":%q}}`, secrets["new header"]))
	tested := s.call(http.StatusOK, "POST", one+"/test", "")
	hook.saying(http.StatusInternalServerError, "")
	s.ended(s.generate("hello", ""))
	s.quiet() // one dead letter
	retried := s.call(http.StatusOK, "POST", "/v1/deliveries/"+s.deliveries("status=failed&endpoint_id=" + ids[0])[0].Get("id").String()+"/retry", "")
	s.quiet()
	require.Equal(t, secrets["header"], hook.all()[0].header.Get("X-Token"), "it does reach its receiver")
	wrong := refused(t, s.call(http.StatusBadRequest, "POST", one, fmt.Sprintf(`{"url":"http://u:%s@127.0.0.1/?%[1]s","headers":{"Host":%[1]q}}`, secrets["header"])))

	search := func(where string, text []byte) {
		for name, secret := range secrets {
			if bytes.Contains(text, []byte(secret)) {
				t.Errorf("%s holds the %s", where, name)
			}
		}
	}
	for where, text := range map[string]string{"an update": string(updated.body), "a test fire": string(tested.body), "a retry": string(retried.body), "an error": wrong.Raw} {
		search(where, []byte(text))
	}
	paths := []string{endpointsPath, one, endpointsPath + "/" + ids[1], "/v1/deliveries", "/v1/events", "/v1/jobs"}
	for _, d := range s.deliveries("") {
		paths = append(paths, "/v1/deliveries/"+d.Get("id").String(), "/v1/events/"+d.Get("event_id").String(), "/v1/jobs/"+d.Get("job_id").String()+"/deliveries")
	}
	for _, path := range paths {
		a, err := s.do("GET", path, nil)
		require.NoError(t, err)
		search("GET "+path, a.body)
	}
	require.NotEmpty(t, watcher.wait(ids[1], "endpoint.disabled").body)
	for _, c := range watcher.all() {
		search("an event", c.body)
	}
	for _, running := range []bool{true, false} {
		search("the log", s.log())
		require.NoError(t, filepath.WalkDir(s.dir, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := os.ReadFile(path)
			search(path, text)
			return err
		}))
		if running {
			s.stop()
		}
	}
}
