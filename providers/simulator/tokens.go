package simulator

import "unicode/utf8"

// maxToken is the longest run of letters and digits in one token, in bytes.
const maxToken = 16

// countTokens is how many tokens a text has; the package comment says what one
// is.
func countTokens[T ~string | ~[]byte](s T) int {
	n := 0
	for i := 0; i < len(s); n++ {
		i += tokenLen(s, i)
	}
	return n
}

// clip cuts a text after limit tokens and says how many it has then.
func clip(s []byte, limit int) (kept []byte, tokens int, cut bool) {
	i := 0
	for ; i < len(s) && tokens < limit; tokens++ {
		i += tokenLen(s, i)
	}
	return s[:i], tokens, i < len(s)
}

// tokenLen is the length of the token that begins at start, which must lie in s.
func tokenLen[T ~string | ~[]byte](s T, start int) int {
	i := start
	for i < len(s) && s[i] <= ' ' {
		i++
	}
	switch {
	case i == len(s):
		return i - start
	case !inWord(s[i]):
		return i + 1 - start
	}
	word := i
	for i < len(s) && i-word < maxToken && inWord(s[i]) {
		i++
	}
	return runeEnd(s, word, i) - start
}

// runeEnd moves the end of a word back to where a rune begins.
func runeEnd[T ~string | ~[]byte](s T, word, end int) int {
	for i := end; i > word; i-- {
		if i == len(s) || utf8.RuneStart(s[i]) {
			return i
		}
	}
	return end
}

func inWord(b byte) bool {
	lower := b | 0x20
	return lower >= 'a' && lower <= 'z' || b >= '0' && b <= '9' || b >= utf8.RuneSelf
}
