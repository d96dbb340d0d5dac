package providers

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestListModels(t *testing.T) {
	t.Parallel()
	p := upstream(t, answer(200, jsonType, `{"object":"list","data":[
		{"id":"gpt-4o","created":1715367049,"owned_by":"system"},
		{"id":"ft:org/base:acme::1","created":1.7e9,"owned_by":null,"permission":"?"},
		{"id":null},{"id":7},{"id":"../x"},{"id":"odd","created":"today","owned_by":7}]}`))
	models, err := p.ListModels(t.Context())
	require.NoError(t, err)
	require.Equal(t, []Model{
		{ID: "gpt-4o", OwnedBy: "system", CreatedAt: 1715367049},
		{ID: "ft:org/base:acme::1", CreatedAt: 1_700_000_000},
		{ID: "odd"},
	}, models)
}

func TestDeleteModel(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		status      int
		contentType string
		body        string
		want        Kind
	}{
		{"deleted", 200, jsonType, `{"id":"m","object":"model","deleted":true}`, ""},
		{"says nothing of it", 200, jsonType, `{}`, ""},
		{"no content", 204, "", "", ""},
		{"is not there", 404, jsonType, badBody, ""},
		{"was not deleted", 200, jsonType, `{"deleted":false}`, Rejected},
		{"may not be deleted", 403, jsonType, badBody, Unauthorized},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := upstream(t, answer(tt.status, tt.contentType, tt.body)).DeleteModel(t.Context(), "m")
			if tt.want == "" {
				require.NoError(t, err)
				return
			}
			require.Equal(t, tt.want, AsError(err).Kind)
		})
	}
}
