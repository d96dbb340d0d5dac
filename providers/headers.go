package providers

import (
	"net/http"

	"golang.org/x/net/http/httpguts"
)

// ownHeader names what is decided by the body and the connection, never by configuration.
func ownHeader(name string) bool {
	switch http.CanonicalHeaderKey(name) {
	case "Host", "Content-Length", "Content-Type", "Content-Encoding", "Accept-Encoding",
		"Transfer-Encoding", "Connection", "Expect", "Trailer", "Upgrade":
		return true
	}
	return false
}

func checkHeaders(p *problems, headers map[string]string) {
	for name, value := range headers {
		switch {
		case !httpguts.ValidHeaderFieldName(name):
			p.add("headers", "%q is not a valid header name", name)
		case ownHeader(name):
			p.add("headers."+name, "is set from the call itself; remove it")
		case !httpguts.ValidHeaderFieldValue(value):
			p.add("headers."+name, "holds a character that a header cannot carry; look for a stray line break")
		}
	}
}

const acceptJSON = "application/json"

// header makes the header that all calls of a provider share. It is never
// changed afterwards: an http.RoundTripper promises not to touch it, so calls
// need no copy.
func (c Config) header(userAgent string) http.Header {
	h := http.Header{
		"Accept":       {acceptJSON},
		"Content-Type": {"application/json"},
		"User-Agent":   {userAgent},
	}
	if c.APIKey != "" {
		h.Set("Authorization", "Bearer "+c.APIKey)
	}
	for name, value := range c.Headers {
		h.Set(name, value)
	}
	return h
}

// secrets lists what must never come back to a client inside an answer. Shorter
// values, like a version or a date, are too common to look for.
func (c Config) secrets() [][]byte {
	var found [][]byte
	if len(c.APIKey) >= 8 {
		found = append(found, []byte(c.APIKey))
	}
	for _, value := range c.Headers {
		if len(value) >= 16 {
			found = append(found, []byte(value))
		}
	}
	return found
}
