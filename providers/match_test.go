package providers

import (
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestMatch(t *testing.T) {
	t.Parallel()
	tests := []struct {
		pattern, name string
		want          bool
	}{
		{"*", "", true},
		{"*", "org/name", true},
		{"gpt-4o", "gpt-4o", true},
		{"gpt-4o", "gpt-4o-mini", false},
		{"gpt-*", "gpt-4o", true},
		{"gpt-*", "GPT-4o", false},
		{"gpt-*", "agpt-4o", false},
		{"*/llama-*", "meta/sub/llama-3", true},
		{"*mini", "gpt-mini-mini", true},
		{"a*b*c", "aXbYbZc", true},
		{"a*b*c", "aXbYbZ", false},
		{"o?", "o3", true},
		{"o?", "o", false},
		{"[a]", "[a]", true},
		{"[a]", "a", false},
		{"**", "x", true},
		{"", "", true},
		{"", "x", false},
	}
	for _, tt := range tests {
		require.Equal(t, tt.want, Match(tt.pattern, tt.name), "%q %q", tt.pattern, tt.name)
	}
}

// Without a '/' in the name, path.Match has the same rules.
func TestMatchAgreesWithPathMatch(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		pattern := rapid.StringOfN(rapid.SampledFrom([]rune("ab*?")), 0, 8, -1).Draw(rt, "pattern")
		name := rapid.StringOfN(rapid.SampledFrom([]rune("ab")), 0, 8, -1).Draw(rt, "name")
		want, err := path.Match(pattern, name)
		require.NoError(rt, err)
		require.Equal(rt, want, Match(pattern, name), "%q %q", pattern, name)
	})
}

func TestMatchIsNotSlowOnManyStars(t *testing.T) {
	t.Parallel()
	require.False(t, Match(strings.Repeat("a*", 200)+"b", strings.Repeat("a", 5000)))
}
