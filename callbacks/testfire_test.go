package callbacks

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/callbacks/signature"
	"github.com/ringback/ringback/jobs"
)

// fired registers an endpoint for a URL, whatever the rules say, and fires a test at it.
func fired(t *testing.T, url string, typ jobs.EventType, change func(s *Service, r *records, e *Registered)) (TestResult, error) {
	t.Helper()
	r := newRecords()
	s := service(t, r)
	e := Registered{
		Endpoint: Endpoint{ProjectID: "default", ID: "a", URL: ShownURL(url), EventTypes: jobs.Texts{"batch.*"}, IsActive: true, CreatedAt: someTime},
		Target:   Target{URL: url, Headers: map[string]string{"X-Token": "canary"}, Secrets: Secrets{{Text: testSecret}}},
	}
	change(s, r, &e)
	r.endpoints[e.Ref()] = e
	return s.TestEndpoint(t.Context(), e.Ref(), typ)
}

func asItIs(*Service, *records, *Registered) {}

// Each type that can be subscribed to can be tried, and the test's own.
func TestTestFireOfEachType(t *testing.T) {
	t.Parallel()
	wh, err := standardwebhooks.NewWebhook(testSecret)
	require.NoError(t, err)
	for _, name := range append(EventTypes(), "", string(EventTest)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := receive(t, nil)
			result, err := fired(t, r.URL+"/h?k=canary", jobs.EventType(name), asItIs)
			require.NoError(t, err)
			want := jobs.EventType(name)
			if name == "" {
				want = EventTest
			}
			require.True(t, result.Success)
			require.Equal(t, 204, result.StatusCode)
			require.Equal(t, "a", result.EndpointID)
			require.Equal(t, want, result.EventType)
			require.True(t, result.Attempt.Manual)
			require.NotContains(t, string(plain(result)), "canary")
			require.Len(t, r.messages(), 1)
			m := r.messages()[0]
			require.NoError(t, wh.VerifyIgnoringTimestamp(m.Body, m.Header), "signed as the real ones are")
			require.Equal(t, "canary", m.Header.Get("X-Token"))
			var body struct {
				ID, Type string
				Test     bool
				Sequence int
				Status   string
				Output   *string `json:"model_output"`
				Data     struct {
					ID     string
					Object struct{ Status *string }
				}
			}
			require.NoError(t, json.Unmarshal(m.Body, &body))
			require.True(t, body.Test)
			require.Equal(t, string(want), body.Type)
			require.Equal(t, body.ID, m.Header.Get("webhook-id"))
			require.NotEmpty(t, body.Data.ID)
			if strings.HasPrefix(string(want), "generation.") {
				require.NotNil(t, body.Output, "as the real ones have")
				require.NotEmpty(t, body.Status)
			}
			if s := body.Data.Object.Status; s != nil {
				require.Contains(t, []string{
					"validating", "in_progress", "completed", "failed", "expired", "cancelled", "processed", "uploaded",
					"incomplete", "validating_files", "running", "succeeded",
				}, *s)
			}
		})
	}
}

func TestTestFireTellsHowItWent(t *testing.T) {
	t.Parallel()
	broken := receive(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "why", http.StatusServiceUnavailable) })
	for name, c := range map[string]struct {
		change  func(s *Service, r *records, e *Registered)
		code    int
		class   Class
		success bool
	}{
		"a failure":         {asItIs, 503, "", false},
		"one that is off":   {func(_ *Service, _ *records, e *Registered) { e.IsActive = false }, 503, "", false},
		"R1 a deadline":     {func(_ *Service, _ *records, e *Registered) { e.Timeout, e.Target.URL = 50, stuck(t) }, 0, ClassTimeout, false},
		"S14 no secret":     {func(_ *Service, _ *records, e *Registered) { e.Target.Secrets = nil }, 0, ClassSecret, false},
		"S1 a literal":      {guarded("https://10.0.0.1/"), 0, ClassBlocked, false},
		"S1 this machine":   {guarded(broken.URL), 0, ClassClosed, false},
		"S2 IPv6":           {guarded("https://[::ffff:7f00:1]/"), 0, ClassBlocked, false},
		"S3 localhost":      {guarded("https://localhost./"), 0, ClassBlocked, false},
		"S3 a number":       {guarded("https://2130706433/"), 0, ClassBlocked, false},
		"S7 a port":         {guarded("https://192.0.2.1:25/"), 0, ClassClosed, false},
		"S7 user info":      {guarded("https://u:p@192.0.2.1/"), 0, ClassClosed, false},
		"S7 another scheme": {guarded("file:///etc/passwd"), 0, ClassClosed, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result, err := fired(t, broken.URL, "", c.change)
			require.NoError(t, err)
			require.Equal(t, c.success, result.Success)
			require.Equal(t, c.code, result.StatusCode)
			if c.class != "" {
				require.Equal(t, string(c.class), *result.Attempt.ErrorClass)
			} else {
				require.Nil(t, result.Attempt.ErrorClass)
				require.Equal(t, "why\n", result.Attempt.Snippet)
			}
		})
	}
	t.Cleanup(func() {
		for _, m := range broken.messages() {
			require.Empty(t, m.Header.Get("X-Guarded"), "what is not allowed reaches nobody")
		}
	})
}

// guarded points the endpoint at a URL and lets callbacks go to public addresses alone.
func guarded(url string) func(s *Service, r *records, e *Registered) {
	return func(s *Service, _ *records, e *Registered) {
		client, err := NewClient(ClientOptions{})
		if err != nil {
			panic(err)
		}
		s.Poster = NewPoster(PosterOptions{Client: client, Timeout: 2 * time.Second, Now: time.Now})
		e.Target.URL, e.Target.Headers = url, map[string]string{"X-Guarded": "1"}
	}
}

// stuck is the URL of a receiver that never answers.
func stuck(t *testing.T) string {
	t.Helper()
	release := make(chan struct{})
	r := receive(t, func(http.ResponseWriter, *http.Request) { <-release })
	t.Cleanup(func() { close(release) })
	return r.URL
}

func TestTestFireSignsWithTheKeyPair(t *testing.T) {
	t.Parallel()
	r := receive(t, nil)
	private := signature.NewPrivateKey()
	_, err := fired(t, r.URL, "", func(_ *Service, rec *records, _ *Registered) { rec.private = private })
	require.NoError(t, err)
	require.Contains(t, r.messages()[0].Header.Get("webhook-signature"), "v1a,")
}

func TestTestFireRefusesUnknownTypes(t *testing.T) {
	t.Parallel()
	r := receive(t, nil)
	for _, typ := range []jobs.EventType{"batch.done", "batch.*", "*"} {
		_, err := fired(t, r.URL, typ, asItIs)
		require.True(t, jobs.IsCode(err, jobs.CodeValue), typ)
	}
	require.Empty(t, r.messages())
}
