package pages

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/rawjson"
)

func TestPretty(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ raw, want string }{
		"nothing":           {"", ""},
		"an object":         {`{"a":[1,"x",true,null]}`, "{\n  <span class=\"k\">&#34;a&#34;</span>: [\n    <span class=\"n\">1</span>,\n    <span class=\"s\">&#34;x&#34;</span>,\n    <span class=\"n\">true</span>,\n    <span class=\"n\">null</span>\n  ]\n}"},
		"a colon in a text": {`["a:","\":"]`, "[\n  <span class=\"s\">&#34;a:&#34;</span>,\n  <span class=\"s\">&#34;\\&#34;:&#34;</span>\n]"},
		"markup":            {`"<script>"`, `<span class="s">&#34;&lt;script&gt;&#34;</span>`},
		"no JSON":           {`<b>&`, `&lt;b&gt;&amp;`},
		"large number":      {`12345678901234567890`, `<span class="n">12345678901234567890</span>`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, string(pretty([]byte(tc.raw))))
		})
	}
}

// TestPrettyIsBounded: each level of a body that nests 10,000 deep would be indented by as much.
func TestPrettyIsBounded(t *testing.T) {
	t.Parallel()
	for name, raw := range map[string]string{
		"deep":                      strings.Repeat("[", 9_000) + strings.Repeat("]", 9_000),
		"long":                      "[" + strings.Repeat("1,", 4<<20) + "1]",
		"as deep as it is indented": strings.Repeat("[", maxDepth) + strings.Repeat("1,", 100_000) + "1" + strings.Repeat("]", maxDepth),
		"no JSON":                   strings.Repeat("é", 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Less(t, len(pretty([]byte(raw))), 20*maxShown)
		})
	}
	require.False(t, rawjson.Deeper([]byte(`"`+strings.Repeat("[", 100)+`"`), maxDepth), "of a text nothing nests")
	require.False(t, rawjson.Deeper([]byte(`"\"`+strings.Repeat("[", 100)+`"`), maxDepth))
}
