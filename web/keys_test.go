package web

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPublicKeysAreReadWithoutAKey(t *testing.T) {
	t.Parallel()
	h := start(t, func(o *Options) { o.Keys = []string{"k"} })
	for path, kid := range map[string]string{
		"/.well-known/jwks.json":         "default",
		"/v1/projects/default/jwks.json": "default",
		"/v1/projects/other/jwks.json":   "other",
	} {
		a := h.get(path)
		require.Equal(t, http.StatusOK, a.status, path)
		require.JSONEq(t, `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"eA","use":"sig","alg":"EdDSA","kid":"`+kid+`"}]}`, a.body)
		require.Equal(t, "application/json", a.header.Get("Content-Type"))
		require.Equal(t, "public, max-age=300", a.header.Get("Cache-Control"))
	}
	for _, project := range []string{"nobody", "a%00b", "%ff"} {
		a := h.get("/v1/projects/" + project + "/jwks.json")
		require.Equal(t, http.StatusNotFound, a.status, project)
		require.Equal(t, "no-store", a.header.Get("Cache-Control"), "a project may come to be")
		require.Contains(t, failure(t, a).Message, "No project found with id '")
	}
}

func TestTheSigningSecretIsShownAndRotated(t *testing.T) {
	t.Parallel()
	h := start(t)
	a := h.get("/v1/webhooks/default/secret")
	require.JSONEq(t, `{"key":"whsec_c2VjcmV0"}`, a.body)
	require.Equal(t, "no-store", a.header.Get("Cache-Control"))
	const path = "/v1/webhooks/default/secret/rotate"
	for body, keep := range map[string]bool{
		"": false, " \n": false, "{}": false,
		`{"keep_old_secret_active_for_24_hours":null}`:  false,
		`{"keep_old_secret_active_for_24_hours":false}`: false,
		`{"keep_old_secret_active_for_24_hours":true}`:  true,
	} {
		a := h.post(path, body)
		require.Equal(t, http.StatusOK, a.status, body)
		require.JSONEq(t, `{"key":"whsec_bmV3"}`, a.body)
		require.Equal(t, []any{"default", keep}, h.callbacks.last(), body)
	}
	for body, want := range map[string]shown{
		`{"keep_old_secret_active_for_24_hours":"yes"}`: {"Invalid type for 'keep_old_secret_active_for_24_hours': expected a boolean, but got a string instead.", typeRequest, "keep_old_secret_active_for_24_hours", "invalid_type"},
		`{"keep":true}`: {"Unknown parameter: 'keep'.", typeRequest, "keep", "unknown_parameter"},
		`[]`:            {"Invalid type for the request body: expected an object, but got an array instead.", typeRequest, "", "invalid_type"},
	} {
		a := h.post(path, body)
		require.Equal(t, http.StatusBadRequest, a.status, body)
		require.Equal(t, want, failure(t, a))
	}
	require.NotContains(t, h.log.String(), "whsec_")
}
