package callbacks

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/jobs"
)

func TestEndpointObject(t *testing.T) {
	t.Parallel()
	bare := Endpoint{ID: "a", URL: "https://example.com/", EventTypes: jobs.Texts{"*"}, IsActive: true, CreatedAt: 1700000000999, ChangedAt: 1700000001000}
	require.Equal(t, `{"id":"a","object":"webhook_endpoint","created_at":1700000000,"updated_at":1700000001,"name":"",`+
		`"url":"https://example.com/","event_types":["*"],"signing_secret_hint":"","description":"","headers":{},"models":null,`+
		`"is_active":true,"disabled_reason":null,"timeout":null,"schedule":null,"health":{"status":"unknown","last_success_at":null,`+
		`"last_failure_at":null,"failing_since":null,"consecutive_failures":0}}`, string(bare.Object("")))

	r := registered()
	r.SecretHint, r.IsActive, r.Disabled = hintOf(testSecret), false, DisabledFailing
	r.Failures, r.FailingSince, r.LastFailureAt, r.LastSuccessAt = 9, 1700000002000, 1700000003000, 1700000001000
	require.Equal(t, `{"id":"a","object":"webhook_endpoint","created_at":0,"updated_at":0,"name":"name",`+
		`"url":"https://example.com/h?k=***","event_types":["batch.completed"],"signing_secret":"`+testSecret+`",`+
		`"signing_secret_hint":"…LaSw","description":"text","headers":{"X-Token":"***"},"models":["m"],`+
		`"is_active":false,"disabled_reason":"failing","timeout":"5s","schedule":["0s"],"health":{"status":"failing",`+
		`"last_success_at":1700000001,"last_failure_at":1700000003,"failing_since":1700000002,"consecutive_failures":9}}`,
		string(r.Object(testSecret)))
	require.NotContains(t, string(r.Object("")), testSecret)
	require.NotContains(t, string(r.Object("")), "canary")

	r.Failures, r.FailingSince = 0, 0
	require.Contains(t, string(r.Object("")), `"health":{"status":"healthy"`)
}
