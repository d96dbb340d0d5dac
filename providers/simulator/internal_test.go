package simulator

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestTokensCoverTheText(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text string
		want int
	}{
		{"", 0},
		{"  ", 1},
		{"How many eggs?", 4},
		{"a b\n", 3},
		{"abcdefghijklmnopq", 2},
		{"ééééééééé", 2},
		{"\n#### 12", 5},
	}
	for _, tt := range tests {
		require.Equal(t, tt.want, CountTokens(tt.text), "%q", tt.text)
	}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SliceOf(rapid.Byte()).Draw(t, "text")
		kept, tokens, cut := clip(text, rapid.IntRange(0, 10).Draw(t, "limit"))
		require.Equal(t, len(kept) < len(text), cut)
		require.GreaterOrEqual(t, countTokens(text), tokens)
	})
}

func TestStringsAreValidJSON(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "text")
		want, err := json.Marshal(text)
		require.NoError(t, err)
		var wanted, got string
		require.NoError(t, json.Unmarshal(want, &wanted))
		require.NoError(t, json.Unmarshal(appendString(nil, text), &got))
		require.Equal(t, wanted, got)
	})
}

func TestSharesAreHonestInEveryRun(t *testing.T) {
	t.Parallel()
	s := shares{fail: 0.2, hang: 0.1, reset: 0.05}
	for range 50 {
		var fails, hangs, resets int
		for range 100 {
			p := s.next()
			fails += p.status / 500
			hangs += number01(p.hang)
			resets += number01(p.reset)
		}
		require.InDelta(t, 20, fails, 2)
		require.InDelta(t, 10, hangs, 2)
		require.InDelta(t, 5, resets, 2)
	}
}

func number01(b bool) int {
	if b {
		return 1
	}
	return 0
}

// CountTokens lets the outer tests check usage.
func CountTokens(s string) int { return countTokens(s) }
