package pages

import (
	"bytes"
	"encoding/json"
	"html"
	"html/template"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/ringback/ringback/rawjson"
)

// maxShown bounds what a page shows of one body; the whole can be downloaded.
const maxShown = 64 << 10

// Indenting makes more of what is long and deep: a body beyond these is shown as it is.
const (
	maxIndented = 4 * maxShown // bytes
	maxDepth    = 32
)

var token = regexp.MustCompile(`"(?:[^"\\]|\\.)*"(\s*:)?|-?\d[\d.eE+-]*|\b(?:true|false|null)\b`)

// pretty is JSON indented, its keys, strings and numbers marked; what is no JSON as it is.
func pretty(raw []byte) template.HTML {
	var b bytes.Buffer
	if len(raw) > maxIndented || rawjson.Deeper(raw, maxDepth) || json.Indent(&b, raw, "", "  ") != nil {
		return template.HTML(html.EscapeString(clipped(string(raw)))) //nolint:gosec // escaped
	}
	return marked(clipped(b.String()))
}

func clipped(text string) string {
	if len(text) <= maxShown {
		return text
	}
	end := maxShown
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "\n… " + size(int64(len(text)-end)) + " more"
}

func marked(text string) template.HTML {
	var out strings.Builder
	last := 0
	for _, at := range token.FindAllStringSubmatchIndex(text, -1) {
		out.WriteString(html.EscapeString(text[last:at[0]]))
		word, class := text[at[0]:at[1]], "n"
		switch {
		case at[2] >= 0:
			word, class = text[at[0]:at[2]], "k"
		case word[0] == '"':
			class = "s"
		}
		out.WriteString(`<span class="` + class + `">` + html.EscapeString(word) + "</span>")
		last = at[0] + len(word)
	}
	out.WriteString(html.EscapeString(text[last:]))
	return template.HTML(out.String()) //nolint:gosec // all that came from outside is escaped
}
