package web

import (
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/ringback/ringback/web/openapi"
)

// The API's document and the page that shows it. They hold no secret and need no key: a document helps before one is at
// hand.
const (
	documentPath = "/openapi.yaml"
)

// asset is something that is served as it is.
type asset struct {
	contentType string
	body        []byte
}

func serve(a asset) handler {
	return func(c *gin.Context) error {
		h := c.Writer.Header()
		h.Set("Content-Type", a.contentType)
		h.Set("Content-Length", strconv.Itoa(len(a.body)))
		c.Writer.WriteHeader(http.StatusOK)
		_, _ = c.Writer.Write(a.body) // who no longer listens misses it
		return nil
	}
}

func apiDocument() handler { return serve(asset{"application/yaml", openapi.Document}) }
