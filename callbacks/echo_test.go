package callbacks

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// S9: what a receiver answers is kept and shown, so what it was sent in confidence is taken out of it.
func TestS9AnswersThatEchoTheRequestTellNothing(t *testing.T) {
	t.Parallel()
	r := receive(t, func(w http.ResponseWriter, req *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprintf(w, "I got %q and %v and all is lost", req.URL.String(), req.Header)
	})
	c := claim(r.URL + "/hook?token=canary%20query&x=y")
	c.Receiver.Headers = map[string]string{"X-Token": "canary-header", "Authorization": "Bearer canary-bearer"}
	got := NewPoster(PosterOptions{Client: openPoster(t).Client, Now: time.Now}).Post(t.Context(), c)
	require.Equal(t, http.StatusInternalServerError, got.StatusCode)
	text := string(got.Snippet)
	require.NotContains(t, text, "canary")
	require.Contains(t, text, "and all is lost")
	require.Contains(t, text, "Webhook-Signature:[v1,***", "the signature would let somebody send it again")
	require.NotContains(t, text, c.Receiver.Keys.BodySignature(c.Body))
}
