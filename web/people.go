package web

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/ringback/ringback/jobs"
	"github.com/ringback/ringback/web/pages"
)

// People are the parts that the pages for people work with, beside those of the API.
type People struct {
	Facts     pages.Facts
	Check     InputChecker
	Providers func() []pages.Provider
	Settings  func() []byte   // the configuration in force as YAML, secrets hidden
	Schedule  []time.Duration // of deliveries, unless an endpoint has its own
	Timeout   time.Duration   // of an attempt, the same
	Version   string          // in a word
	Mode      string          // "single process", or what this process does among others
}

// InputChecker looks at files as they come in.
type InputChecker interface {
	// CheckInput reads to the end whatever it finds. tell hears of it now and then.
	CheckInput(ctx context.Context, project string, kind jobs.Kind, path string, in io.Reader, tell func(jobs.InputCheck)) (jobs.InputCheck, error)
}

// routePages registers the pages for people. They are made from the same facts as the API's answers, and what their forms ask
// for goes through the API.
func (s *Server) routePages(o Options) {
	if o.People == nil || o.ProbesOnly {
		return
	}
	shown := pages.Options{
		Facts: o.People.Facts, API: s, Project: func(*http.Request) string { return jobs.DefaultProject },
		Streaming: s.enterPage, FileBytes: o.FileBytes, Until: s.waits, Providers: o.People.Providers, Settings: o.People.Settings,
		Schedule: o.People.Schedule, Timeout: o.People.Timeout, PublicURL: o.PublicURL, Version: o.People.Version, Mode: o.People.Mode, Now: s.now, Log: s.log,
		Check: o.People.Check.CheckInput,
	}
	if len(o.Keys) > 0 {
		shown.Login = s.sessions.open
	}
	s.pages = pages.New(shown)
	s.asPage = func(c *gin.Context, status int, message string) bool {
		if !s.forPeople(c) {
			return false
		}
		s.pages.Fail(c.Writer, c.Request, status, message, c.GetBool(letIn))
		return true
	}
	for _, r := range s.pages.Routes() {
		h := s.showPage(r)
		s.engine.Handle(r.Method, r.Path, h)
		if r.Method == http.MethodGet {
			s.engine.Handle(http.MethodHead, r.Path, h)
		}
		s.paged[r.Path] = r.Open
	}
}

// maxForm bounds a form, but for those that bring a file, which the API bounds.
const maxForm = 1 << 20

// showPage hands a request to a page; what it fails with is shown as one.
func (s *Server) showPage(r pages.Route) gin.HandlerFunc {
	return func(c *gin.Context) {
		for _, p := range c.Params {
			c.Request.SetPathValue(p.Key, p.Value)
		}
		err := s.readForm(c, r)
		if err == nil {
			err = r.Handler(c.Writer, c.Request)
		}
		if err != nil {
			s.failPage(c, err)
		}
	}
}

// readForm reads what a form sends before the page does: one that is too long, or is none, is refused and not taken for empty.
func (s *Server) readForm(c *gin.Context, r pages.Route) error {
	if c.Request.Method == http.MethodPost && crossOrigin(c.Request, s.public) {
		return jobs.Errorf(jobs.CodeForbidden, "", "This form was sent by a page of another site.")
	}
	if r.Streams || c.Request.Method != http.MethodPost {
		return nil
	}
	c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, maxForm)
	err := c.Request.ParseForm()
	var long *http.MaxBytesError
	if err != nil && !errors.As(err, &long) {
		return jobs.Errorf(jobs.CodeInvalid, "", "The form could not be read. Go back and send it again.")
	}
	return err
}

// failPage shows a person what the envelope shows a program.
func (s *Server) failPage(c *gin.Context, err error) {
	c.Abort()
	if status, message, ok := pages.FailureOf(err); ok {
		s.pages.Fail(c.Writer, c.Request, status, message, c.GetBool(letIn))
		return
	}
	s.fail(c, err)
}

// forPeople tells whether a request is a browser's for a page, and not a program's, which asks for JSON.
func (s *Server) forPeople(c *gin.Context) bool {
	if s.pages == nil || strings.HasPrefix(c.Request.URL.Path, "/v1/") {
		return false
	}
	_, paged := s.paged[c.FullPath()]
	accept := c.GetHeader("Accept")
	if strings.Contains(accept, "text/html") {
		return paged || c.FullPath() == ""
	}
	return paged && !strings.Contains(accept, "json")
}
