package providers

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReadEnvelope(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, body string
		want       envelope
	}{
		{"OpenAI", quotaBody, envelope{Code: "insufficient_quota", Type: "insufficient_quota"}},
		{"null code", serverBody, envelope{Type: "server_error"}},
		{"numeric code", `{"error":{"message":"x","type":"t","code":429}}`, envelope{Type: "t"}},
		{"no message", `{"error":{"type":"t","code":"c"}}`, envelope{Code: "c", Type: "t"}},
		{"null type", `{"error":{"message":"x","type":null,"code":"c"}}`, envelope{Code: "c"}},
		{"flat", `{"object":"error","message":"x","type":"BadRequest","code":40001}`, envelope{Code: "40001", Type: "BadRequest"}},
		{"string", `{"error":"x"}`, envelope{}},
		{"HTML", `<html>`, envelope{}},
		{"empty", ``, envelope{}},
		{"array", `[{"error":{}}]`, envelope{}},
	}
	for _, tt := range tests {
		require.Equal(t, tt.want, readEnvelope([]byte(tt.body)), tt.name)
	}
}

func TestExplainRepeatsNoFreeText(t *testing.T) {
	t.Parallel()
	require.Contains(t, envelope{Code: "model_not_found"}.explain(Rejected, 404), "(HTTP 404, model_not_found)")
	for _, code := range []string{"", "see http://10.0.0.1", "A B", strings.Repeat("a", 65), "%s"} {
		require.Contains(t, envelope{Code: code}.explain(Rejected, 404), "(HTTP 404)", code)
	}
	for _, kind := range []Kind{RateLimited, QuotaExceeded, Overloaded, Unauthorized, Timeout, InvalidAnswer, Rejected} {
		require.Regexp(t, `^The provider.* \(HTTP 499\).*\.$`, envelope{}.explain(kind, 499))
	}
}
