package web

import (
	"crypto/sha256"
	"crypto/subtle"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/ringback/ringback/jobs"
)

// openRoutes are the routes that ask for no key: the probes, the public keys that receivers verify with, and the
// API's document.
var openRoutes = []string{livePath, readyPath, jwksPath, projectJWKSPath, documentPath, docsPath, scriptPath}

// letIn is set on a request whose sender may see what there is: pages of errors tell others nothing.
const letIn = "ringback/let-in"

// authenticate asks for one of the keys on every route but the open ones. Keys are compared as digests in constant time,
// and no answer repeats one.
func (s *Server) authenticate(keys []string) handler {
	digests := make([][sha256.Size]byte, len(keys))
	for i, key := range keys {
		digests[i] = sha256.Sum256([]byte(key))
	}
	return func(c *gin.Context) error {
		if len(digests) == 0 || s.sessions.in(c.Request) {
			c.Set(letIn, true)
			return nil
		}
		if slices.Contains(openRoutes, c.FullPath()) || s.paged[c.FullPath()] {
			return nil
		}
		key, ok := bearer(c.Request.Header.Get("Authorization"))
		if !ok && s.forPeople(c) {
			toLogin(c)
			return nil
		}
		if !ok {
			return jobs.Errorf(jobs.CodeUnauthorized, "", "You didn't provide an API key. Send it in the header: Authorization: Bearer YOUR_KEY.")
		}
		if !known(digests, key) {
			return jobs.Errorf(jobs.CodeUnauthorized, "", "Incorrect API key provided. Check the key that you send against the server's auth.keys.")
		}
		c.Set(letIn, true)
		return nil
	}
}

func bearer(header string) (key string, ok bool) {
	scheme, key, ok := strings.Cut(header, " ")
	key = strings.TrimSpace(key)
	return key, ok && key != "" && strings.EqualFold(scheme, "Bearer")
}

// known looks at every digest, so that the time tells nothing.
func known(digests [][sha256.Size]byte, key string) bool {
	sum, found := sha256.Sum256([]byte(key)), 0
	for _, d := range digests {
		found |= subtle.ConstantTimeCompare(sum[:], d[:])
	}
	return found == 1
}
