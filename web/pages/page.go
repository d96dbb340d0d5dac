package pages

import (
	"bytes"
	"context"
	"embed"
	"html/template"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed templates/*.html
var templates embed.FS

// page is one address: the template that shows it, and what it reads.
type page struct {
	file string
	load load
}

// load reads what a page shows.
type load func(ctx context.Context, r *http.Request) (any, error)

// view is what a template is given.
type view struct {
	Frame frame
	Page  any
}

// liveParts begin the names of the templates whose output a page's stream sends when it changes.
const liveParts = "live:"

func (p *Pages) parse() map[string]*template.Template {
	base := template.Must(template.New("").Funcs(p.functions()).ParseFS(templates, "templates/layout.html", "templates/parts.html"))
	files, err := templates.ReadDir("templates")
	if err != nil {
		panic(err) // it is embedded
	}
	sets := map[string]*template.Template{}
	for _, f := range files {
		if name := f.Name(); name != "layout.html" && name != "parts.html" {
			sets[name] = template.Must(template.Must(base.Clone()).ParseFS(templates, path.Join("templates", name)))
		}
	}
	return sets
}

// show answers a page, or the stream of its changes to who asks for events.
func (p *Pages) show(pg page) Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if strings.HasPrefix(r.Header.Get("Accept"), "text/event-stream") {
			return p.follow(w, r, pg)
		}
		v, err := p.view(r.Context(), r, pg)
		if err != nil {
			return err
		}
		return p.render(w, r, http.StatusOK, pg.file, v)
	}
}

func (p *Pages) view(ctx context.Context, r *http.Request, pg page) (view, error) {
	f, err := p.frame(ctx, r)
	if err != nil {
		return view{}, err
	}
	shown, err := pg.load(ctx, r)
	return view{f, shown}, err
}

// render writes a whole page. It is made before anything is sent, so that a template that fails is an error and no half page.
func (p *Pages) render(w http.ResponseWriter, r *http.Request, status int, file string, v view) error {
	var b bytes.Buffer
	if err := p.sets[file].ExecuteTemplate(&b, "layout", v); err != nil {
		return err
	}
	return send(w, r, status, b.Bytes())
}

// part writes one template of a page: what a script asks for to put in a place.
func (p *Pages) part(w http.ResponseWriter, r *http.Request, status int, file, name string, data any) error {
	var b bytes.Buffer
	if err := p.sets[file].ExecuteTemplate(&b, name, data); err != nil {
		return err
	}
	return send(w, r, status, b.Bytes())
}

// partText renders one template of a page.
func (p *Pages) partText(file, name string, data any) (string, error) {
	var b bytes.Buffer
	err := p.sets[file].ExecuteTemplate(&b, name, data)
	return b.String(), err
}

var replacement = []byte("\uFFFD")

// policy is the content security policy: everything comes from here, nothing is written into the page.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// send writes HTML as what it says it is: what came from outside may hold what is no text.
func send(w http.ResponseWriter, r *http.Request, status int, html []byte) error {
	html = bytes.ReplaceAll(bytes.ToValidUTF8(html, replacement), []byte{0}, replacement)
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Vary", "Accept, Cookie, HX-Request")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(html) // who no longer listens misses it
	}
	return nil
}

// inPlace tells whether a script asks for a part of the page, and not a browser for a page.
func inPlace(r *http.Request) bool { return r.Header.Get("HX-Request") == "true" }

// done sends the browser to where the outcome is seen. note is the key of the sentence that it is told there.
func done(w http.ResponseWriter, r *http.Request, to, note string) error {
	if note != "" {
		mark := "?"
		if strings.Contains(to, "?") {
			mark = "&"
		}
		to += mark + "done=" + note
	}
	if inPlace(r) {
		w.Header().Set("HX-Redirect", to)
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// Fail shows an error as a page, or as a part of one. Who has not been let in is shown the error and nothing around it.
func (p *Pages) Fail(w http.ResponseWriter, r *http.Request, status int, message string, letIn bool) {
	shown := failure{Title: titleOf(status), Message: message}
	var err error
	switch {
	case inPlace(r):
		w.Header().Set("HX-Retarget", "#toasts")
		w.Header().Set("HX-Reswap", "beforeend")
		err = p.part(w, r, status, "failure.html", "toast", toast{Tone: "bad", Icon: "s-bad", Text: message})
	case !letIn:
		err = p.part(w, r, status, "failure.html", "outside", view{frame{Theme: themeOf(r)}, shown})
	default:
		ctx, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel()
		f, _ := p.frame(ctx, r) // its counts may be what failed
		f.Still = true
		err = p.render(w, r, status, "failure.html", view{f, shown})
	}
	if err != nil {
		p.Log.Error("a page of an error could not be made", "err", err)
	}
}

type failure struct{ Title, Message string }

func titleOf(status int) string {
	switch {
	case status == http.StatusNotFound:
		return "There is nothing here"
	case status == http.StatusForbidden:
		return "This is not allowed"
	case status == http.StatusGone:
		return "This is no longer kept"
	case status < http.StatusInternalServerError:
		return "This could not be done"
	}
	return "The server could not answer"
}
