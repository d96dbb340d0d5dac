package span

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	parent  = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	unasked = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
)

// The cases are those of W3C Trace Context's own test suite, and what a client may try.
func TestTraceparents(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text, want string }{
		{"as the standard shows it", parent, parent},
		{"not sampled", unasked, unasked},
		{"spaces around it", " \t" + parent + " ", parent},
		{"flags that are not defined", parent[:53] + "ff", parent[:53] + "03"},
		{"a later version", "cc" + parent[2:], parent},
		{"a later version that says more", "cc" + parent[2:] + "-what-is-next", parent},
		{"a later version that goes on without a dash", "cc" + parent[2:] + ".more", ""},
		{"version ff", "ff" + parent[2:], ""},
		{"version 00 that says more", parent + "-more", ""},
		{"upper case", strings.ToUpper(parent), ""},
		{"no trace", "00-00000000000000000000000000000000-00f067aa0ba902b7-01", ""},
		{"no span", "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", ""},
		{"short", parent[:54], ""},
		{"a dash elsewhere", "00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01", ""},
		{"a letter that is no digit", "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01", ""},
		{"nothing", "", ""},
		{"anything", "hello", ""},
		{"long", strings.Repeat("0", 5000), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, Trace(c.want), Read(http.Header{ParentHeader: {c.text}}))
		})
	}
	require.Empty(t, Read(http.Header{ParentHeader: {parent, parent}}), "which of two is meant nobody knows")
	require.Empty(t, Read(http.Header{StateHeader: {"a=1"}}), "a state alone is none")
}

func TestTracestates(t *testing.T) {
	t.Parallel()
	entry := func(key string, bytes int) string { return key + "=" + strings.Repeat("v", bytes-len(key)-1) }
	many := make([]string, 33)
	for i := range many {
		many[i] = string(rune('a'+i%26)) + string(rune('a'+i/26)) + "=1"
	}
	for _, c := range []struct {
		name  string
		lines []string
		want  string
	}{
		{"one", []string{"rojo=00f067aa0ba902b7"}, "rojo=00f067aa0ba902b7"},
		{"several lines", []string{"a=1", "b=2, c=3 d"}, "a=1,b=2,c=3 d"},
		{"empty entries", []string{"a=1,,\t,b=2"}, "a=1,b=2"},
		{"a tenant", []string{"fw529a3039@dt=FfAAAA"}, "fw529a3039@dt=FfAAAA"},
		{"32 entries", many[:32], strings.Join(many[:32], ",")},
		{"33 entries", many, ""},
		{"twice the same", []string{"a=1,a=2"}, ""},
		{"upper case", []string{"A=1"}, ""},
		{"no value", []string{"a="}, ""},
		{"no key", []string{"=1"}, ""},
		{"two signs", []string{"a=1=2"}, ""},
		{"a line break", []string{"a=1\nb"}, ""},
		{"a system too long", []string{"a@" + strings.Repeat("b", 15) + "=1"}, ""},
		{"far too long", []string{strings.Repeat("a=1,", 3000)}, ""},
		{"long entries go first", []string{entry("a", 200), entry("b", 100), entry("c", 250), entry("d", 100)}, entry("a", 200) + "," + entry("b", 100) + "," + entry("d", 100)},
		{"then the last", []string{entry("a", 120), entry("b", 120), entry("c", 120), entry("d", 120), entry("e", 120)}, strings.Join([]string{entry("a", 120), entry("b", 120), entry("c", 120), entry("d", 120)}, ",")},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := Read(http.Header{ParentHeader: {parent}, StateHeader: c.lines})
			require.Equal(t, parent, got.Parent(), "a bad state leaves the parent")
			require.Equal(t, c.want, got.State())
			require.LessOrEqual(t, len(got), parentLength+1+maxState)
		})
	}
}

func TestPlaceComesBackFromItsRow(t *testing.T) {
	t.Parallel()
	kept := Read(http.Header{ParentHeader: {parent}, StateHeader: {"a=1,b=2"}})
	require.Equal(t, Trace(parent+" a=1,b=2"), kept)
	require.Equal(t, kept, Parse(string(kept)))
	require.Equal(t, "4bf92f3577b34da6a3ce929d0e0e4736", kept.ID())
	require.Equal(t, "00f067aa0ba902b7", kept.SpanID())
	for _, bad := range []string{"", "x", parent[:54], strings.ToUpper(parent)} {
		require.Empty(t, Parse(bad), bad)
	}

	h := http.Header{ParentHeader: {"another"}, StateHeader: {"another"}}
	Trace("").Put(h)
	require.Equal(t, "another", h.Get("traceparent"), "no trace changes nothing")
	Trace(unasked).Put(h)
	require.Equal(t, http.Header{ParentHeader: {unasked}}, h, "a state belongs to its parent")
	kept.Put(h)
	require.Equal(t, kept, Read(h))
}

func TestChildrenHaveTheirOwnIDs(t *testing.T) {
	t.Parallel()
	p, seen := Trace(parent+" a=1"), map[string]bool{}
	for range 1000 {
		c := p.child()
		require.Equal(t, c, Read(headerOf(c)), "it is well-formed")
		require.Equal(t, p.ID(), c.ID())
		require.Equal(t, p.State(), c.State())
		require.True(t, c.Sampled())
		require.False(t, seen[c.SpanID()])
		seen[c.SpanID()] = true
	}
	require.False(t, Trace(unasked).child().Sampled())
}

func headerOf(t Trace) http.Header {
	h := http.Header{}
	t.Put(h)
	return h
}

func FuzzRead(f *testing.F) {
	f.Add(parent, "a=1,b=2")
	f.Add("cc"+parent[2:]+"-x", "a@b=c")
	f.Fuzz(func(t *testing.T, p, s string) {
		got := Read(http.Header{ParentHeader: {p}, StateHeader: {s}})
		if got == "" {
			return
		}
		require.LessOrEqual(t, len(got), parentLength+1+maxState)
		require.Equal(t, got, Read(headerOf(got)))
		require.Equal(t, got, Parse(string(got)))
	})
}
