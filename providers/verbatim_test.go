package providers

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestBodiesPassByteForByte(t *testing.T) {
	t.Parallel()
	var got, reply []byte
	var flush bool
	p := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		got, _ = io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		if flush {
			w.(http.Flusher).Flush()
		}
		_, _ = w.Write(reply)
	})
	rapid.Check(t, func(rt *rapid.T) {
		sent := rapid.OneOf(rapid.SliceOf(rapid.Byte()), rapid.Map(object(3), toBytes)).Draw(rt, "sent")
		reply = toBytes(object(3).Draw(rt, "reply"))
		flush = rapid.Bool().Draw(rt, "flush")
		kept := bytes.Clone(sent)
		a, err := p.Do(t.Context(), Request{Path: chatPath, Body: sent})
		require.NoError(rt, err)
		require.True(rt, bytes.Equal(kept, got), "sent %q, upstream got %q", kept, got)
		require.True(rt, bytes.Equal(reply, a.Body), "upstream sent %q, got %q", reply, a.Body)
	})
}

func TestLongBodiesPassByteForByte(t *testing.T) {
	t.Parallel()
	p := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	})
	for _, size := range []int{1 << 10, 1 << 16, exactBytes - 8, exactBytes + 1, 5 << 20} {
		body := []byte(`{"x":"` + strings.Repeat("é", size/2) + `"}`)
		a, err := p.Do(t.Context(), Request{Path: chatPath, Body: body})
		require.NoError(t, err)
		require.True(t, bytes.Equal(body, a.Body))
		require.LessOrEqual(t, cap(a.Body), len(body)*5/4)
	}
}

func toBytes(s string) []byte { return []byte(s) }

// object draws the text of a JSON object: numbers of any size, keys that stand
// twice, escapes and raw characters, white space wherever it may be.
func object(depth int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		var b strings.Builder
		b.WriteString("{")
		for i := range rapid.IntRange(0, 4).Draw(t, "members") {
			if i > 0 {
				b.WriteString(",")
			}
			key := rapid.SampledFrom([]string{"a", "a", "n", "usage", "ключ", `\u0061`, "temperature"}).Draw(t, "key")
			b.WriteString(space(t) + `"` + key + `"` + space(t) + ":" + space(t) + value(depth).Draw(t, "value"))
		}
		return space(t) + b.String() + "}" + space(t)
	})
}

func value(depth int) *rapid.Generator[string] {
	plain := rapid.SampledFrom([]string{
		"null", "true", "0", "-0", "0.0", "1E400", "12345678901234567890123", "1.000000000000000000001", "1741386163.0",
		`""`, `"\ud83d\ude00"`, `"😀é"`, `"\u003c<>&"`, `"a\/b\n"`, `"\u2028` + "\u2028" + `"`, "[]", "[1, 2 ,3]",
	})
	if depth == 0 {
		return plain
	}
	return rapid.OneOf(plain, plain, object(depth-1))
}

func space(t *rapid.T) string {
	return rapid.SampledFrom([]string{"", "", " ", "\n", "\r\n\t"}).Draw(t, "space")
}
