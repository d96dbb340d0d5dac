package web

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/ringback/ringback/jobs"
	"github.com/ringback/ringback/web/openapi"
)

// The API's document and the page that shows it. They hold no secret and need no key: a document helps before one is at
// hand.
const (
	documentPath = "/openapi.yaml"
	docsPath     = "/docs"
	scriptPath   = "/docs/:asset"
)

func apiDocument(c *gin.Context) error {
	asset(c, "application/yaml", openapi.Document)
	return nil
}

// docs is the one page that allows inline styles, for its viewer.
func docs(c *gin.Context) error {
	h := c.Writer.Header()
	h.Set("Content-Security-Policy", openapi.PagePolicy)
	h.Set("Referrer-Policy", "no-referrer")
	asset(c, "text/html; charset=utf-8", openapi.Page())
	return nil
}

// docsScript serves the page's scripts as they are stored: packed, where the client takes that.
func docsScript() handler {
	scripts := map[string]openapi.Script{}
	for _, s := range openapi.Scripts() {
		scripts[s.Name] = s
	}
	return func(c *gin.Context) error {
		s, known := scripts[c.Param("asset")]
		if !known {
			return jobs.NotFound("There is no file of this name here.")
		}
		h := c.Writer.Header()
		h.Set("Vary", "Accept-Encoding")
		if s.Pinned {
			h.Set("Cache-Control", "public, max-age=31536000, immutable")
		}
		if takesGzip(c.Request) {
			h.Set("Content-Encoding", "gzip")
			asset(c, "text/javascript; charset=utf-8", s.Packed)
			return nil
		}
		plain, err := s.Plain()
		if err != nil {
			return err
		}
		asset(c, "text/javascript; charset=utf-8", plain)
		return nil
	}
}

// takesGzip reads no more of Accept-Encoding than browsers say: a name, and that it is not refused.
func takesGzip(r *http.Request) bool {
	for _, coding := range strings.Split(r.Header.Get("Accept-Encoding"), ",") {
		name, weight, _ := strings.Cut(coding, ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			q, err := strconv.ParseFloat(strings.TrimPrefix(strings.TrimSpace(weight), "q="), 64)
			return err != nil || q > 0
		}
	}
	return false
}

// asset serves something as it is. net/http leaves the body of an answer to HEAD out.
func asset(c *gin.Context, contentType string, body []byte) {
	c.Header("Content-Type", contentType)
	c.Header("Content-Length", strconv.Itoa(len(body)))
	c.Writer.WriteHeader(http.StatusOK)
	_, _ = c.Writer.Write(body) // who no longer listens misses it
}

// ofDocument tells whether a request is for the API's document or its page.
func ofDocument(c *gin.Context) bool { return c.FullPath() == docsPath || c.FullPath() == documentPath }
