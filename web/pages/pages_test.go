package pages

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"
)

// addresses are every page, by its template, in all its forms.
var addresses = map[string][]string{
	"overview.html": {"/"},
	"jobs.html":     {"/jobs", "/jobs?status=running", "/jobs?q=nothing-has-this", "/jobs?after=gen_more0", "/jobs?kind=batch&done=cancelled", "/jobs?status=stuck"},
	"job.html": {
		"/jobs/" + batchID, "/jobs/" + endedID, "/jobs/" + stuckID, "/jobs/" + tuningID, "/jobs/" + callID, "/jobs/" + responseID, "/jobs/batch_failed", "/jobs/gen_more0",
		"/jobs/" + batchID + "?custom_id=none",
	},
	"lines.html":      {"/jobs/" + batchID + "/lines", "/jobs/" + batchID + "/lines?after=20"},
	"new.html":        {"/new", "/new?kind=fine_tuning", "/new?kind=generation", "/new?from=" + batchID, "/new?from=" + callID, "/new?from=" + tuningID, "/new?file=" + inputID},
	"webhooks.html":   {"/webhooks", "/webhooks?dialog=add"},
	"webhook.html":    {"/webhooks/" + endpointID, "/webhooks/" + endpointID + "?dialog=edit", "/webhooks/" + endpointID + "?dialog=delete", "/webhooks/" + offID, "/webhooks/off-by-hand"},
	"deliveries.html": {"/deliveries", "/deliveries?dialog=retry", "/deliveries?state=failed", "/deliveries?q=" + deliveryID, "/deliveries?q=nothing", "/deliveries?since=24h&after=dlv_1", "/deliveries?endpoint=" + endpointID},
	"delivery.html":   {"/deliveries/" + deliveryID, "/deliveries/dlv_1", "/deliveries/dlv_2", "/deliveries/dlv_3", "/deliveries/dlv_4"},
	"files.html":      {"/files", "/files?purpose=batch", "/files?purpose=none", "/files?after=file-0"},
	"file.html":       {"/files/" + inputID, "/files/" + outputID + "?dialog=delete"},
	"events.html":     {"/events", "/events?type=batch.*", "/events?type=none", "/events?after=20"},
	"event.html":      {"/events/" + eventID, "/events/evt_3"},
	"providers.html":  {"/providers"},
	"settings.html":   {"/settings"},
	"login.html":      {"/login"},
}

// eachAddress calls look with every page there is.
func eachAddress(look func(file, path string)) {
	for file, paths := range addresses {
		for _, path := range paths {
			look(file, path)
		}
	}
}

// full opens a desk over a world whose texts are text.
func full(t *testing.T, text string) *desk {
	t.Helper()
	return open(t, world(text), func(o *Options) {
		o.Providers = func() []Provider { return worldProviders(text) }
		o.Settings = func() []byte { return []byte("server:\n  addr: " + text + "\nauth:\n  keys:\n    - '***'\n") }
		o.Version, o.Mode = text, text
		o.Login = func(string) (*http.Cookie, bool) { return nil, false }
	})
}

func TestEveryTemplateIsShownByAPage(t *testing.T) {
	t.Parallel()
	shownOtherwise := []string{"failure.html", "test.html"} // by an error, and by a form
	for file := range open(t, world("x")).pages.sets {
		require.True(t, addresses[file] != nil || slices.Contains(shownOtherwise, file), "no page shows %s", file)
	}
}

func TestPagesWhateverTheTexts(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"plain":         "Report",
		"empty":         "",
		"markup":        `</title></textarea></script><script>alert(1)</script><img src=x onerror=alert(1)>`,
		"quotes":        `" onmouseover="alert(1)' x='&lt;&amp;{{.Page}}`,
		"a script's":    `javascript:alert(1)`,
		"NUL":           "a\x00b",
		"invalid UTF-8": "a\xff\xfeb",
		"emoji":         "Überprüfung 🎉\u202e \u2028",
		"newlines":      "a\r\nb\tc",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := full(t, text)
			eachAddress(func(_, path string) { soundPage(t, d.get(path), path, text != "") })
		})
	}
}

func TestPagesOfNothing(t *testing.T) {
	t.Parallel()
	d := open(t, &facts{})
	for _, path := range []string{"/", "/jobs", "/jobs?q=x", "/new", "/webhooks", "/webhooks?dialog=add", "/deliveries", "/deliveries?dialog=retry", "/deliveries?state=failed", "/files", "/files?purpose=x", "/events", "/events?type=x", "/providers", "/settings"} {
		soundPage(t, d.get(path), path, true)
	}
}

func TestNamesOfAMegabyte(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("name ", 200_000)
	d := full(t, text)
	f := d.facts
	f.jobs, f.deliveries, f.attempts, f.events, f.files, f.log, f.endpoints, f.lines = f.jobs[:1], f.deliveries[:1], f.attempts[:2], f.events[:1], f.files[:1], f.log[:1], f.endpoints[:1], f.lines[:1]
	for _, path := range []string{"/", "/jobs", "/jobs/" + batchID, "/deliveries/" + deliveryID, "/webhooks/" + endpointID, "/files", "/events/" + eventID, "/new?from=" + batchID} {
		require.Equal(t, http.StatusOK, d.get(path).Code, path)
	}
}

// soundPage holds a page to what all pages are: whole, escaped, without anything that the policy forbids.
func soundPage(t *testing.T, s shown, path string, named bool) {
	t.Helper()
	body := s.Body.String()
	require.Equal(t, http.StatusOK, s.Code, "%s: %s", path, body)
	require.Equal(t, "text/html; charset=utf-8", s.Header().Get("Content-Type"))
	require.True(t, utf8.ValidString(body), "%s is not UTF-8", path)
	for _, wrong := range []string{"<no value>", "&lt;no value&gt;", "ZgotmplZ", "%!", "\x00", "&lt;nil&gt;", "NaN", "alert(1)</script>"} {
		require.NotContains(t, body, wrong, path)
	}
	wellFormed(t, body, path)
	nothingInline(t, s.doc, path)
	ids(t, s.doc, path)
	labels(t, s.doc, path, named)
	headings(t, s.doc, path)
	title := elements(s.doc, "title")
	require.NotEmpty(t, title, path)
	require.Len(t, elements(s.doc, "main"), 1, path)
}

// wellFormed wants each element that is opened closed in its order.
func wellFormed(t *testing.T, body, path string) {
	t.Helper()
	void := []string{"meta", "link", "input", "br", "img", "hr", "wbr"}
	tokens := html.NewTokenizer(strings.NewReader(body))
	var stack []string
	for {
		kind := tokens.Next()
		token := tokens.Token()
		switch kind {
		case html.ErrorToken:
			require.Empty(t, stack, "%s leaves elements open", path)
			return
		case html.StartTagToken:
			if n := len(stack); n > 0 && stack[n-1] == "option" && token.Data == "option" { // its end may be left out
				stack = stack[:n-1]
			}
			if !slices.Contains(void, token.Data) {
				stack = append(stack, token.Data)
			}
			seen := map[string]bool{}
			for _, a := range token.Attr {
				require.False(t, seen[a.Key], "%s: %s has %s twice", path, token.Data, a.Key)
				seen[a.Key] = true
			}
		case html.EndTagToken:
			if n := len(stack); n > 0 && stack[n-1] == "option" && token.Data != "option" {
				stack = stack[:n-1]
			}
			require.NotEmpty(t, stack, "%s closes %s that is not open", path, token.Data)
			require.Equal(t, stack[len(stack)-1], token.Data, "%s: %v", path, stack)
			stack = stack[:len(stack)-1]
		}
	}
}

// nothingInline wants no script and no style in the page itself: the policy would not let them run.
func nothingInline(t *testing.T, doc *html.Node, path string) {
	t.Helper()
	for _, e := range all(doc, func(*html.Node) bool { return true }) {
		if e.Data == "script" {
			require.True(t, strings.HasPrefix(value(e, "src"), "/assets/") && e.FirstChild == nil, "%s has a script in it", path)
		}
		require.NotContains(t, []string{"style", "img", "iframe", "object", "base"}, e.Data, path)
		for _, a := range e.Attr {
			require.False(t, strings.HasPrefix(a.Key, "on") || a.Key == "style" || strings.HasPrefix(a.Key, "hx-on"), "%s: %s has %s", path, e.Data, a.Key)
		}
	}
}

func ids(t *testing.T, doc *html.Node, path string) {
	t.Helper()
	seen := map[string]bool{}
	for _, e := range having(doc, "id", "") {
		id := value(e, "id")
		require.NotEmpty(t, id, path)
		require.False(t, seen[id], "%s has two #%s", path, id)
		seen[id] = true
	}
	for _, name := range []string{"for", "aria-labelledby", "aria-describedby", "list"} {
		for _, e := range having(doc, name, "") {
			require.True(t, seen[value(e, name)], "%s: %s of %s names #%s, which is not there", path, name, e.Data, value(e, name))
		}
	}
}

// labels wants a name for each control that a person sees; named says that what it may be named after has a name.
func labels(t *testing.T, doc *html.Node, path string, named bool) {
	t.Helper()
	labelled := map[string]bool{}
	for _, e := range elements(doc, "label") {
		labelled[value(e, "for")] = true
	}
	wrapped := func(e *html.Node) bool {
		for p := e.Parent; p != nil; p = p.Parent {
			if p.Data == "label" {
				return words(p) != ""
			}
		}
		return false
	}
	for _, e := range elements(doc, "input", "select", "textarea") {
		if value(e, "type") == "hidden" {
			continue
		}
		id, hasID := attribute(e, "id")
		require.True(t, value(e, "aria-label") != "" || hasID && labelled[id] || wrapped(e), "%s: a %s %q has no label", path, e.Data, value(e, "name"))
	}
	for _, e := range elements(doc, "button", "a") {
		if e.Data == "a" && value(e, "href") == "" {
			continue
		}
		empty := words(e) == "" && value(e, "aria-label") == ""
		require.False(t, empty && named, "%s: a %s to %q says nothing", path, e.Data, value(e, "href"))
	}
	for _, e := range elements(doc, "svg") {
		require.True(t, value(e, "aria-hidden") == "true" || value(e, "aria-label") != "" || value(e, "role") == "img" || value(e, "role") == "progressbar", "%s: a drawing without a word", path)
	}
}

// headings wants one of the first level, and no level left out on the way down.
func headings(t *testing.T, doc *html.Node, path string) {
	t.Helper()
	level := 0
	for _, e := range elements(doc, "h1", "h2", "h3", "h4") {
		n := int(e.Data[1] - '0')
		require.LessOrEqual(t, n, level+1, "%s: %s %q follows level %d", path, e.Data, words(e), level)
		level = n
	}
	require.Len(t, elements(doc, "h1"), 1, path)
}

func TestTitlesTellPagesApart(t *testing.T) {
	t.Parallel()
	f := world("Report")
	f.endpoints[0].Name = "Loader"
	d := open(t, f, func(o *Options) { o.Login = func(string) (*http.Cookie, bool) { return nil, false } })
	seen := map[string]string{}
	for file, paths := range addresses {
		if file == "lines.html" {
			continue
		}
		title := words(elements(d.get(paths[0]).doc, "title")[0])
		require.True(t, strings.HasSuffix(title, " · Ringback"), title)
		require.Empty(t, seen[title], "%s has the title of %s, %q", file, seen[title], title)
		seen[title] = file
	}
}

// TestLivePlaces: what a page's stream sends has a place there, and each place is sent something.
func TestLivePlaces(t *testing.T) {
	t.Parallel()
	d := full(t, "Report")
	for file, paths := range addresses {
		if file == "login.html" || file == "lines.html" || file == "new.html" {
			continue
		}
		places := map[string]bool{}
		for _, path := range paths {
			for _, e := range having(d.get(path).doc, "data-live", "") {
				places[value(e, "data-live")] = true
			}
		}
		var sent []string
		for _, name := range d.pages.liveParts(file) {
			sent = append(sent, strings.TrimPrefix(name, liveParts))
		}
		var have []string
		for name := range places {
			have = append(have, name)
		}
		require.ElementsMatch(t, have, sent, file)
	}
}

// TestLivePartsAreTheirPlaces: a part is what stands in its place, byte for byte, so that a page that has just been loaded is not
// drawn again by its stream's first message.
func TestLivePartsAreTheirPlaces(t *testing.T) {
	t.Parallel()
	d := full(t, "Report")
	eachAddress(func(file, path string) {
		if file == "login.html" || file == "lines.html" {
			return
		}
		page := d.get(path)
		for _, c := range d.firstLook(path) {
			places := having(page.doc, "data-live", c.Name)
			if len(places) == 0 {
				continue
			}
			require.Contains(t, page.Body.String(), ">"+c.HTML+"</", "%s: %s is sent otherwise than the page shows it", path, c.Name)
		}
	})
}

// TestEveryLinkLeadsSomewhere follows all links, forms and assets of every page.
func TestEveryLinkLeadsSomewhere(t *testing.T) {
	t.Parallel()
	d := full(t, "Report")
	d.pages.Login = nil
	followed := map[string]shown{}
	follow := func(from, to string) {
		if _, done := followed[to]; done {
			return
		}
		followed[to] = d.get(to)
		require.Equal(t, http.StatusOK, followed[to].Code, "%s links to %s", from, to)
	}
	n := 0
	eachAddress(func(_, path string) {
		if path == "/login" {
			return
		}
		page := d.get(path)
		for _, link := range linksOf(page.doc) {
			n++
			to, err := url.Parse(path)
			require.NoError(t, err)
			to, err = to.Parse(link.to)
			require.NoError(t, err, link.to)
			require.Empty(t, to.Host, "%s links to another host: %s", path, link.to)
			switch fragment := to.Fragment; {
			case strings.HasPrefix(to.Path, "/v1/"):
				require.Regexp(t, `^/v1/(files/[^/]+/content|batches/[^/]+/results)$`, to.Path)
			case link.method == http.MethodPost:
				_, pattern := d.mux.Handler(httptest.NewRequest(http.MethodPost, to.RequestURI(), nil))
				require.NotEmpty(t, pattern, "%s has a form for %s, which nobody answers", path, link.to)
			case link.to == "#main" || strings.HasPrefix(link.to, "#"):
				require.NotEmpty(t, having(page.doc, "id", fragment), "%s: nothing is at #%s", path, fragment)
			default:
				follow(path, to.RequestURI())
				if fragment != "" && !strings.HasSuffix(to.Path, ".svg") {
					require.NotEmpty(t, having(followed[to.RequestURI()].doc, "id", fragment), "%s links to %s, where #%s is not", path, to.Path, fragment)
				}
			}
		}
	})
	require.Greater(t, n, 1000)
}

// TestIconsAreInTheSprite: a sign that is not there shows as nothing.
func TestIconsAreInTheSprite(t *testing.T) {
	t.Parallel()
	d := full(t, "Report")
	sprite := string(d.pages.assets.byName["icons.svg"].content)
	eachAddress(func(_, path string) {
		for _, e := range elements(d.get(path).doc, "use") {
			_, id, ok := strings.Cut(value(e, "href"), "#")
			require.True(t, ok, path)
			require.Contains(t, sprite, `id="`+id+`"`, "%s shows an icon that is not there", path)
		}
	})
}

type pageLink struct{ method, to string }

func linksOf(doc *html.Node) (links []pageLink) {
	for name, method := range map[string]string{
		"href": http.MethodGet, "src": http.MethodGet, "hx-get": http.MethodGet, "data-back": http.MethodGet, "hx-post": http.MethodPost, "formaction": http.MethodPost,
	} {
		for _, e := range having(doc, name, "") {
			links = append(links, pageLink{method, value(e, name)})
		}
	}
	for _, e := range elements(doc, "form") {
		method := http.MethodGet
		if strings.EqualFold(value(e, "method"), http.MethodPost) {
			method = http.MethodPost
		}
		links = append(links, pageLink{method, value(e, "action")})
	}
	return links
}
