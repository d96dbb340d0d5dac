package web

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/ringback/ringback/web/pages"
)

// sessionLife is how long a browser stays logged in.
const sessionLife = 12 * time.Hour

// sessions let a browser in that has shown a key once. Its cookie is the time of its end, and a sum of that under the key: there is
// nothing to keep, it holds in each process that has the key, and ends with the key.
type sessions struct {
	keys   [][sha256.Size]byte // derived: a cookie tells nothing of the key itself
	secure bool                // the cookie travels over TLS alone
	known  func(key string) bool
	public string // the host at which clients reach this server; a proxy may name another to it
	now    func() time.Time
}

func newSessions(o Options, now func() time.Time) *sessions {
	s := &sessions{public: hostOf(o.PublicURL), now: now, secure: strings.HasPrefix(o.PublicURL, "https://")}
	digests := make([][sha256.Size]byte, len(o.Keys))
	for i, key := range o.Keys {
		digests[i] = sha256.Sum256([]byte(key))
		s.keys = append(s.keys, derived(key))
	}
	s.known = func(key string) bool { return known(digests, key) }
	return s
}

// open gives the cookie of who shows a key.
func (s *sessions) open(key string) (*http.Cookie, bool) {
	if !s.known(key) {
		return nil, false
	}
	ends := s.now().Add(sessionLife)
	return &http.Cookie{
		Name: pages.SessionCookie, Value: sealed(derived(key), ends.Unix()), Path: "/", Expires: ends,
		HttpOnly: true, Secure: s.secure, SameSite: http.SameSiteLaxMode,
	}, true
}

func derived(key string) [sha256.Size]byte {
	return sha256.Sum256([]byte("ringback session\x00" + key))
}

func sealed(under [sha256.Size]byte, ends int64) string {
	text := binary.BigEndian.AppendUint64(nil, uint64(ends)) //nolint:gosec // a time after 1970
	mac := hmac.New(sha256.New, under[:])
	mac.Write(text)
	return base64.RawURLEncoding.EncodeToString(mac.Sum(text))
}

// in tells whether a request's cookie is good. One from a page of another origin is as good as none, but for a link that was
// followed to here.
func (s *sessions) in(r *http.Request) bool {
	cookie, err := r.Cookie(pages.SessionCookie)
	if err != nil || crossOrigin(r, s.public) && !followed(r) {
		return false
	}
	text, err := base64.RawURLEncoding.DecodeString(cookie.Value)
	if err != nil || len(text) != 8+sha256.Size {
		return false
	}
	ends := int64(binary.BigEndian.Uint64(text)) //nolint:gosec // any value is compared alone
	if ends <= s.now().Unix() || ends > s.now().Add(sessionLife).Unix()+1 {
		return false
	}
	return slices.ContainsFunc(s.keys, func(under [sha256.Size]byte) bool {
		return hmac.Equal([]byte(sealed(under, ends)), []byte(cookie.Value))
	})
}

// followed tells whether a browser opens a page because somebody followed a link to it: it shows that page and nothing else.
func followed(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) &&
		r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
}

// toLogin sends a browser to where it can log in, and from there back.
func toLogin(c *gin.Context) {
	to := pages.LoginPath
	if c.Request.Method == http.MethodGet && c.Request.URL.RequestURI() != "/" {
		to += "?to=" + url.QueryEscape(c.Request.URL.RequestURI())
	}
	c.Abort()
	if c.GetHeader("HX-Request") == "true" {
		c.Header("HX-Redirect", to)
		c.Writer.WriteHeader(http.StatusNoContent)
		return
	}
	http.Redirect(c.Writer, c.Request, to, http.StatusSeeOther)
}
