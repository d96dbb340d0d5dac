package providers

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestScanReadsUsage(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, body string
		want       Usage
	}{
		{"chat", `{"choices":[{"usage":{"prompt_tokens":1}}],"usage":{"prompt_tokens":10,"completion_tokens":7,"total_tokens":17,"prompt_tokens_details":{"cached_tokens":4,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":3}}}`, Usage{10, 4, 7, 3, 17}},
		{"responses", `{"error":null,"usage":{"input_tokens":10,"input_tokens_details":{"cached_tokens":4,"cache_write_tokens":1},"output_tokens":7,"output_tokens_details":{"reasoning_tokens":3},"total_tokens":17}}`, Usage{10, 4, 7, 3, 17}},
		{"embeddings", `{"data":[],"usage":{"prompt_tokens":8,"total_tokens":8}}`, Usage{InputTokens: 8, TotalTokens: 8}},
		{"no total", `{"usage":{"prompt_tokens":8,"completion_tokens":1}}`, Usage{InputTokens: 8, OutputTokens: 1, TotalTokens: 9}},
		{"escaped keys", `{"\u0075sage":{"prompt\u005ftokens":8}}`, Usage{InputTokens: 8, TotalTokens: 8}},
		{"null details", `{"usage":{"prompt_tokens":8,"prompt_tokens_details":null}}`, Usage{InputTokens: 8, TotalTokens: 8}},
		{"nonsense numbers", `{"usage":{"prompt_tokens":-8,"completion_tokens":"9","total_tokens":1e300}}`, Usage{}},
		{"null", `{"usage":null}`, Usage{}},
		{"array", `{"usage":[1]}`, Usage{}},
		{"none", `{}`, Usage{}},
	}
	for _, tt := range tests {
		found, ok := scan([]byte(tt.body))
		require.True(t, ok, tt.name)
		require.False(t, found.failed, tt.name)
		require.Equal(t, tt.want, found.usage, tt.name)
	}
}

func TestScanFindsAnError(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]bool{
		`{"error":null}`: false, `{"a":{"error":{}}}`: false, `{"error":{}}`: true, `{"error":"no"}`: true,
		`{"\u0065rror":{}}`: true, `{"error":{},"error":null}`: true,
	} {
		found, ok := scan([]byte(body))
		require.True(t, ok)
		require.Equal(t, want, found.failed, body)
	}
	for _, body := range []string{`[]`, `"x"`, `1`, `null`} {
		_, ok := scan([]byte(body))
		require.False(t, ok, body)
	}
}

func TestUsageAdd(t *testing.T) {
	t.Parallel()
	require.Equal(t, Usage{11, 22, 33, 44, 55}, Usage{1, 2, 3, 4, 5}.Add(Usage{10, 20, 30, 40, 50}))
}
