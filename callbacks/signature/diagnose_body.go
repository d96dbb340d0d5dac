package signature

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// bodies are the bytes that may have been signed: the body as it stands, then with each common change undone.
func bodies(body []byte) iter.Seq2[Finding, []byte] {
	return func(yield func(Finding, []byte) bool) {
		if !yield(Finding{}, body) {
			return
		}
		for _, each := range []iter.Seq2[Finding, []byte]{recoded(body), rewritten(body)} {
			for f, b := range each {
				if b != nil && !bytes.Equal(b, body) && !yield(f, b) {
					return
				}
			}
		}
	}
}

// recoded are changes of bytes, whatever they mean.
func recoded(body []byte) iter.Seq2[Finding, []byte] {
	bom, lf, crlf := []byte("\xef\xbb\xbf"), []byte("\n"), []byte("\r\n")
	unix := bytes.ReplaceAll(body, crlf, lf)
	var inner string
	_ = json.Unmarshal(body, &inner) // stays empty unless the body is a JSON string
	return func(yield func(Finding, []byte) bool) {
		for _, change := range []struct {
			code, text string
			body       []byte
		}{
			{"body_newline", "without the line break at its end", bytes.TrimRight(body, "\r\n")},
			{"body_newline", "with a line break at its end", slices.Concat(body, lf)},
			{"body_newline", "with CR and LF at its end", slices.Concat(body, crlf)},
			{"body_line_ends", "with LF line ends instead of CRLF", unix},
			{"body_line_ends", "with CRLF line ends instead of LF", bytes.ReplaceAll(unix, lf, crlf)},
			{"body_bom", "without the byte order mark before it", bytes.TrimPrefix(body, bom)},
			{"body_bom", "with a byte order mark before it", slices.Concat(bom, body)},
			{"body_latin1", "before it was decoded as Latin-1", encodeLatin1(body)},
			{"body_latin1", "before it was encoded as Latin-1", decodeLatin1(body)},
			{"body_string", "before it was packed into a JSON string", []byte(inner)},
		} {
			if !yield(problem(change.code, nextBody, "The body was changed: the signature fits it %s.", change.text), change.body) {
				return
			}
		}
	}
}

// encodeLatin1 undoes a decoding; it is nil where there was none.
func encodeLatin1(body []byte) []byte {
	out := make([]byte, 0, len(body))
	for _, r := range string(body) {
		if r > 0xff { // U+FFFD too, which stands for what is no UTF-8
			return nil
		}
		out = append(out, byte(r))
	}
	return out
}

func decodeLatin1(body []byte) []byte {
	out := make([]byte, 0, len(body))
	for _, b := range body {
		out = utf8.AppendRune(out, rune(b))
	}
	return out
}

// spelled is one way to write JSON; without a name it is the usual one.
type spelled struct {
	name  string
	write func(compact []byte) []byte
}

// rewritten are the ways in which common libraries write the same JSON: each order, with each escaping, in each layout.
func rewritten(body []byte) iter.Seq2[Finding, []byte] {
	return func(yield func(Finding, []byte) bool) {
		var compact bytes.Buffer
		if json.Compact(&compact, body) != nil {
			return
		}
		for _, order := range orders() {
			ordered := order.write(compact.Bytes())
			for _, escaping := range escapings() {
				escaped := escaping.write(ordered)
				for _, layout := range layouts() {
					how := slices.DeleteFunc([]string{order.name, escaping.name, layout.name}, func(s string) bool { return s == "" })
					f := problem("body_json", nextBody, "The body was parsed and written again: the signature fits the same JSON %s.", strings.Join(how, ", "))
					if !yield(f, layout.write(escaped)) {
						return
					}
				}
			}
		}
	}
}

func asIs(compact []byte) []byte { return compact }

func orders() []spelled { return []spelled{{"", asIs}, {"with sorted keys", sortKeys}} }

func escapings() []spelled {
	slashes := func(b []byte) []byte { return bytes.ReplaceAll(escapeUnicode(b), []byte("/"), []byte(`\/`)) }
	return []spelled{
		{"", asIs},
		{"without needless escapes", unescape},
		{"with <, > and & escaped", func(b []byte) []byte {
			var out bytes.Buffer
			json.HTMLEscape(&out, unescape(b))
			return out.Bytes()
		}},
		{"with all but ASCII escaped", func(b []byte) []byte { return escapeUnicode(unescape(b)) }},
		{"with slashes and all but ASCII escaped", func(b []byte) []byte { return slashes(unescape(b)) }},
	}
}

func layouts() []spelled {
	indent := func(by string) func([]byte) []byte {
		return func(b []byte) []byte {
			var out bytes.Buffer
			_ = json.Indent(&out, b, "", by) // it is JSON
			return out.Bytes()
		}
	}
	return []spelled{
		{"without spaces", asIs},
		{`with a space after "," and ":"`, func(b []byte) []byte { return eachPart(b, ", ", ": ", asIs) }},
		{"indented by two spaces", indent("  ")},
		{"indented by four spaces", indent("    ")},
	}
}

func sortKeys(compact []byte) []byte {
	var value any
	d := json.NewDecoder(bytes.NewReader(compact))
	d.UseNumber()
	if d.Decode(&value) != nil {
		return compact
	}
	return marshal(value)
}

// marshal escapes what JSON demands, and no more.
func marshal(value any) []byte {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	_ = e.Encode(value) // what was decoded can be encoded
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

func unescape(compact []byte) []byte {
	return eachPart(compact, ",", ":", func(quoted []byte) []byte {
		var s string
		if json.Unmarshal(quoted, &s) != nil {
			return quoted
		}
		return marshal(s)
	})
}

// escapeUnicode writes as Python does: only strings can hold other characters than ASCII.
func escapeUnicode(compact []byte) []byte {
	out := make([]byte, 0, len(compact))
	for _, r := range string(compact) {
		switch high, low := utf16.EncodeRune(r); {
		case r < utf8.RuneSelf:
			out = append(out, byte(r))
		case r < 0x10000:
			out = fmt.Appendf(out, `\u%04x`, r)
		default:
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		}
	}
	return out
}

// eachPart copies compact JSON with other separators and strings.
func eachPart(compact []byte, comma, colon string, text func(quoted []byte) []byte) []byte {
	var out bytes.Buffer
	for i := 0; i < len(compact); i++ {
		switch compact[i] {
		case '"':
			end := stringEnd(compact, i)
			out.Write(text(compact[i:end]))
			i = end - 1
		case ',':
			out.WriteString(comma)
		case ':':
			out.WriteString(colon)
		default:
			out.WriteByte(compact[i])
		}
	}
	return out.Bytes()
}

// stringEnd is the index behind the string that begins at i.
func stringEnd(doc []byte, i int) int {
	for i++; i < len(doc) && doc[i] != '"'; i++ {
		if doc[i] == '\\' {
			i++
		}
	}
	return min(i+1, len(doc))
}
