package rawjson

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStored(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "", "plain": "plain", "é 日本 😀\n\t": "é 日本 😀\n\t", "\uFFFD": "\uFFFD",
		"a\x00b\x00": "ab", "\x00": "", "a\xffb": "a\uFFFDb", "\xff\x00\xff": "\uFFFD\uFFFD", "\xed\xa0\x80": "\uFFFD",
	} {
		require.Equal(t, want, Stored(text), "%q", text)
		require.Equal(t, want == text, Storable(text), "%q", text)
		require.True(t, Storable(Stored(text)), "%q", text)
	}
}
