package web

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/jobs"
)

func TestModels(t *testing.T) {
	t.Parallel()
	h := start(t)
	require.Equal(t, `{"object":"list","data":[]}`, h.get("/v1/models").body)
	const shown = `{"id":"ft:org/m:a:b c","object":"model","created":5,"owned_by":"default"}`
	h.records.models = []jobs.Model{
		{ProjectID: jobs.DefaultProject, ID: "ft:org/m:a:b c", CreatedAt: 5000},
		{ProjectID: "other", ID: "theirs", CreatedAt: 5000},
	}
	require.Equal(t, `{"object":"list","data":[`+shown+`]}`, h.get("/v1/models").body)
	for _, path := range []string{"/v1/models/ft:org%2Fm:a:b%20c", "/v1/models/ft%3Aorg%2Fm%3Aa%3Ab%20c", "/v1/models/ft:org/m:a:b%20c"} {
		a := h.get(path)
		require.Equal(t, http.StatusOK, a.status, "%s: %s", path, a.body)
		require.Equal(t, shown, a.body)
	}
	a := h.do(http.MethodDelete, "/v1/models/ft:org%2Fm:a:b%20c", "")
	require.Equal(t, `{"id":"ft:org/m:a:b c","object":"model","deleted":true}`, a.body)
	require.Equal(t, `{"object":"list","data":[]}`, h.get("/v1/models").body)
	for _, gone := range []answer{
		h.get("/v1/models/ft:org%2Fm:a:b%20c"), h.do(http.MethodDelete, "/v1/models/ft:org%2Fm:a:b%20c", ""),
		h.get("/v1/models/theirs"), h.do(http.MethodDelete, "/v1/models/theirs", ""), h.get("/v1/models/"), h.get("/v1/models/%00"),
	} {
		require.Equal(t, http.StatusNotFound, gone.status)
		require.Equal(t, "model_not_found", failure(t, gone).Code)
		require.Equal(t, "model", failure(t, gone).Param)
	}
	a = h.do(http.MethodDelete, "/v1/models/sim-small", "")
	require.Equal(t, http.StatusForbidden, a.status, "a provider's own model")
	require.Equal(t, http.StatusMethodNotAllowed, h.post("/v1/models", "{}").status)
}
