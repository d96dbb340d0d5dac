package main

import (
	"net/url"
	"strings"
)

func (l *configLoader) checkFiles(c FilesConfig) {
	l.require((c.AccessKey == "") == (c.SecretKey == ""), "files.secret_key", "and files.access_key belong together: set both, or neither")
	if c.URL == "" {
		l.require(c.AccessKey == "", "files.access_key", "is of no use without files.url")
		return
	}
	o, err := c.s3()
	if err != nil {
		l.require(false, "files.url", "%s", err)
		return
	}
	u, err := url.Parse(o.Endpoint)
	if err == nil && strings.EqualFold(u.Scheme, "http") && !isLoopback(u.Hostname()) {
		l.warn("files.url", "sends files to %s without encryption: whoever is on the way reads them", u.Host)
	}
}
