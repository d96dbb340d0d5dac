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

// guard keeps web pages away while authentication is off: a page may aim its visitor's browser at a loopback address,
// by a request across origins or by a name that it rebinds to that address. Neither passes, on any route. With keys
// on it lets all through: a browser sends no bearer token by itself.
func (s *core) guard(o Options) handler {
	if len(o.Keys) > 0 {
		return func(*gin.Context) error { return nil }
	}
	public := hostOf(o.PublicURL)
	return func(c *gin.Context) error {
		if !local(c.Request.Host) && !sameName(c.Request.Host, public) {
			return jobs.Errorf(jobs.CodeForbidden, "", "This host name is not served while authentication is off. Use the loopback address, or set server.public_url, or set auth.keys.")
		}
		if crossOrigin(c.Request) {
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
func crossOrigin(r *http.Request) bool {
	for _, site := range r.Header.Values("Sec-Fetch-Site") {
		if site != "same-origin" && site != "none" {
			return true
		}
	}
	for _, origin := range r.Header.Values("Origin") {
		if !strings.EqualFold(hostOf(origin), r.Host) {
			return true
		}
	}
	return false
}
