package pages

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// How a page's stream goes.
const (
	livePace     = time.Second // between two looks, or longer where they are dear
	liveRest     = 250         // times as long as a look took: with what it leaves to the collector of garbage under a hundredth of a core
	livePaceMost = 10 * time.Second
	liveSilence  = 15 * time.Second // longest silence: proxies cut a connection that says nothing
	livePatience = 10 * time.Second // how long a browser may take to read
)

// change is a part of a page whose content is new.
type change struct {
	Name string `json:"name"`
	HTML string `json:"html"`
}

// follow sends a page's parts whenever they have changed, beginning with all of them: what changed between the page and its
// stream is not missed, and a script leaves alone what looks the same.
func (p *Pages) follow(w http.ResponseWriter, r *http.Request, pg page) error {
	leave, err := p.Streaming()
	if err != nil {
		return err
	}
	defer leave()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(p.Until, cancel)()
	f := &follower{pages: p, request: r, page: pg, parts: p.liveParts(pg.file), sent: map[string][]byte{}}
	if err := f.look(ctx); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // nginx would hold changes back
	h.Set("Connection", "close")     // the deadline of the last write stays on it
	if r.Method == http.MethodHead {
		return nil
	}
	return f.run(ctx, w)
}

func (p *Pages) liveParts(file string) (names []string) {
	for _, t := range p.sets[file].Templates() {
		if strings.HasPrefix(t.Name(), liveParts) {
			names = append(names, t.Name())
		}
	}
	slices.Sort(names)
	return names
}

// follower is one browser's stream.
type follower struct {
	pages   *Pages
	request *http.Request
	page    page
	parts   []string
	sent    map[string][]byte // by part, as it was sent last
	out     bytes.Buffer      // what is to be sent next
	took    time.Duration     // the last look
}

func (f *follower) run(ctx context.Context, w http.ResponseWriter) error {
	to := http.NewResponseController(below(w))
	next := time.NewTimer(f.rest())
	defer next.Stop()
	quiet := time.Now()
	for {
		if f.out.Len() == 0 && time.Since(quiet) >= liveSilence {
			f.out.WriteString(": still here\n\n")
		}
		if f.out.Len() > 0 {
			quiet = time.Now()
			_ = to.SetWriteDeadline(time.Now().Add(livePatience)) // not every writer has one
			if _, err := f.out.WriteTo(w); err != nil || to.Flush() != nil {
				return nil //nolint:nilerr // the browser has gone
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-next.C:
		}
		if err := f.look(ctx); err != nil {
			if ctx.Err() == nil {
				f.out.WriteString("event: trouble\ndata: {}\n\n") // the browser says that what it shows is old
				clear(f.sent)                                     // and the next look that succeeds, that it is not
				f.pages.Log.Warn("a page's stream could not look", "path", f.request.URL.Path, "err", err)
			}
		}
		next.Reset(f.rest())
	}
}

// rest is how long to wait after the last look.
func (f *follower) rest() time.Duration { return min(max(livePace, liveRest*f.took), livePaceMost) }

// below is the writer under a framework's, whose own Flush may do nothing.
func below(w http.ResponseWriter) http.ResponseWriter {
	if u, ok := w.(interface{ Unwrap() http.ResponseWriter }); ok {
		return u.Unwrap()
	}
	return w
}

// look renders all parts and notes those that are new.
func (f *follower) look(ctx context.Context) error {
	began := time.Now()
	defer func() { f.took = time.Since(began) }()
	v, err := f.pages.view(ctx, f.request, f.page)
	if err != nil {
		return err
	}
	set := f.pages.sets[f.page.file]
	for _, part := range f.parts {
		var b bytes.Buffer
		if err := set.ExecuteTemplate(&b, part, v); err != nil {
			return err
		}
		if last, before := f.sent[part]; before && bytes.Equal(last, b.Bytes()) {
			continue
		}
		f.sent[part] = b.Bytes()
		text, err := json.Marshal(change{strings.TrimPrefix(part, liveParts), b.String()})
		if err != nil {
			return err
		}
		fmt.Fprintf(&f.out, "data: %s\n\n", text)
	}
	return nil
}
