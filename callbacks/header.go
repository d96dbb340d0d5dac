package callbacks

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/ringback/ringback/callbacks/signature"
	"github.com/ringback/ringback/jobs"
)

// What a client may add to a callback.
const (
	maxHeaders     = 32
	maxHeaderName  = 256
	maxHeaderValue = 8 << 10
)

// CheckHeaders judges the headers that a client adds to its callbacks. The error names the field and never repeats a
// value, since values are secrets.
func (r Rules) CheckHeaders(headers map[string]string) error {
	if len(headers) > maxHeaders {
		return headerError("", "webhook.headers has %d entries; at most %d are allowed.", len(headers), maxHeaders)
	}
	seen := make(map[string]bool, len(headers))
	for _, name := range sortedKeys(headers) {
		if err := r.CheckHeader(name, headers[name]); err != nil {
			return err
		}
		if key := strings.ToLower(name); seen[key] {
			return headerError(name, "webhook.headers names %s twice, in different case; keep one.", name)
		}
		seen[strings.ToLower(name)] = true
	}
	return nil
}

// CheckHeader judges one header that a client adds to its callbacks.
func (r Rules) CheckHeader(name, value string) error {
	odd := func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }
	switch {
	case !isToken(name):
		return headerError("", "webhook.headers holds a name that is no header name (RFC 9110, section 5.1).")
	case r.reserved(name):
		return headerError(name, "webhook.headers.%s is set by Ringback or by the connection; leave it out.", name)
	case len(value) > maxHeaderValue:
		return headerError(name, "webhook.headers.%s is %d bytes long; at most %d are allowed.", name, len(value), maxHeaderValue)
	case strings.ContainsFunc(value, odd):
		return headerError(name, "webhook.headers.%s holds a line break or another control character.", name)
	}
	return nil
}

func headerError(name, format string, args ...any) error {
	param := "webhook.headers"
	if name != "" {
		param += "." + name
	}
	return jobs.Errorf(jobs.CodeValue, param, format, args...)
}

// reserved tells whether a header is not the client's to set: it is part of the contract, or of the connection.
func (r Rules) reserved(name string) bool {
	name = strings.ToLower(name)
	for _, prefix := range []string{"webhook-", "x-ringback-", "proxy-"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	switch name {
	case "traceparent", "tracestate", "host", "content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer", "upgrade",
		"expect", "http2-settings", "user-agent":
		return true
	}
	return strings.EqualFold(name, r.bodySignatureHeader())
}

func (r Rules) bodySignatureHeader() string {
	return cmp.Or(http.CanonicalHeaderKey(r.BodySignatureHeader), signature.DefaultBodyHeader)
}

// isToken tells whether a text can be a header's name (RFC 9110, section 5.6.2).
func isToken(s string) bool {
	const tchar = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	return s != "" && len(s) <= maxHeaderName && strings.Trim(s, tchar) == ""
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
