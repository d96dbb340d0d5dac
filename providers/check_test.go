package providers

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCheckListsTheModels(t *testing.T) {
	t.Parallel()
	var got *http.Request
	p := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		answer(200, jsonType, `{"object":"list","data":[{"id":"gpt-4o","object":"model"},{"id":"org/name","object":"model"}]}`)(w, r)
	}, func(_ *Options, c *Config) { c.BaseURL += "?v=2" })
	models, err := p.Check(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"gpt-4o", "org/name"}, models)
	require.Equal(t, "GET /v1/models?v=2", got.Method+" "+got.URL.RequestURI())
	require.Equal(t, "Bearer sk-test-0123456789", got.Header.Get("Authorization"))
	require.Equal(t, "ringback", got.UserAgent())
}

func TestCheckSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
		want    Kind
	}{
		{"wrong key", answer(401, jsonType, badBody), Unauthorized},
		{"down", answer(503, "text/html", "<html>"), Overloaded},
		{"not an API", answer(200, "text/html", "<html>"), InvalidAnswer},
		{"not a list", answer(200, jsonType, `{"data":7}`), InvalidAnswer},
		{"moved", answer(301, jsonType, `{"data":[]}`, "Location", "/x"), Rejected},
		{"reset", reset(""), Connection},
		{"too long", answer(200, jsonType, `{"data":[],"pad":"`+string(make([]byte, 100))+`"}`), AnswerTooLarge},
		{"hangs", hang, Timeout},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := upstream(t, tt.handler, func(o *Options, c *Config) {
				o.AnswerBytes = 100
				if tt.want == Timeout {
					c.Timeout = 50 * time.Millisecond
				}
			})
			_, err := p.Check(t.Context())
			require.NotNil(t, AsError(err))
			require.Equal(t, tt.want, AsError(err).Kind, "%v", AsError(err).LogValue())
		})
	}
}

func TestCheckStopsWithItsCaller(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	p := upstream(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(arrived)
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	_, err := p.Check(ctx)
	require.Equal(t, Canceled, AsError(err).Kind)
}
