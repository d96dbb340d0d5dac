package web

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/ringback/ringback/jobs"
)

// attemptHeader is what every callback carries (callbacks.Poster).
const attemptHeader = "X-Ringback-Attempt"

// stopLoops refuses callbacks that have been led back here, by a proxy or by a receiver that passes everything on:
// each would make work whose callbacks come back again.
func stopLoops(c *gin.Context) error {
	if _, called := c.Request.Header[attemptHeader]; !called {
		return nil
	}
	c.Header("Webhook-Delivery", "abort-message") // to the sender, which would try again by its schedule
	return jobs.Errorf(codeLoop, attemptHeader, "This request is a callback that has come back to Ringback, as its header %s says. Point the webhook's URL at your receiver; a receiver that calls this API must not pass that header on.", attemptHeader)
}

// guard keeps web pages away while authentication is off: a page may aim its visitor's browser at a loopback address,
// by a request across origins or by a name that it rebinds to that address. Neither passes, on any route. With keys
// on it lets all through: a browser sends no bearer token by itself.
func (s *Server) guard(o Options) handler {
	if len(o.Keys) > 0 {
		return func(*gin.Context) error { return nil }
	}
	return func(c *gin.Context) error {
		if !local(c.Request.Host) && !sameName(c.Request.Host, s.public) {
			return jobs.Errorf(jobs.CodeForbidden, "", "This host name is not served while authentication is off. Use the loopback address, or set server.public_url, or set auth.keys.")
		}
		if crossOrigin(c.Request, s.public) && (!s.forPeople(c) && !ofDocument(c) || !followed(c.Request)) {
			return jobs.Errorf(jobs.CodeForbidden, "", "Web pages of another origin are not served while authentication is off. Set auth.keys and send a key.")
		}
		return nil
	}
}

func hostOf(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil {
		return ""
	}
	return u.Host
}

// hostName is the name or address in a Host header, without its port.
func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
}

// local tells whether a Host header speaks of this machine's loopback.
func local(host string) bool {
	name := hostName(host)
	if strings.EqualFold(name, "localhost") {
		return true
	}
	address, err := netip.ParseAddr(name)
	return err == nil && address.Unmap().IsLoopback()
}

func sameName(host, public string) bool {
	return public != "" && strings.EqualFold(hostName(host), hostName(public))
}

// crossOrigin tells whether a browser sent the request for a page of another origin. Programs send none of these
// headers.
func crossOrigin(r *http.Request, public string) bool {
	for _, site := range r.Header.Values("Sec-Fetch-Site") {
		if site != "same-origin" && site != "none" {
			return true
		}
	}
	for _, origin := range r.Header.Values("Origin") {
		if !strings.EqualFold(hostOf(origin), r.Host) && (public == "" || !strings.EqualFold(hostOf(origin), public)) {
			return true
		}
	}
	return false
}
