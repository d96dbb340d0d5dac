package callbacks

import (
	"bytes"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// shortestEcho is how long a value is at least that is looked for in answers: shorter ones stand in any text.
const shortestEcho = 4

// hideEchoes takes out of an answer what its receiver was sent in confidence, since answers are kept and shown: many
// receivers answer an error with the request that they got.
func hideEchoes(answer []byte, req *http.Request, c Claimed, bodySignature string) []byte {
	if len(answer) == 0 {
		return answer
	}
	var pairs []string
	for _, value := range confided(req, c, bodySignature) {
		if len(value) >= shortestEcho && bytes.Contains(answer, []byte(value)) {
			pairs = append(pairs, value, hidden)
		}
	}
	if pairs == nil {
		return answer
	}
	return []byte(strings.NewReplacer(pairs...).Replace(string(answer)))
}

// confided are the values that only the receiver is to know, the longest first: the client's headers, those of the URL's
// query, and the signatures.
func confided(req *http.Request, c Claimed, bodySignature string) []string {
	values := []string{bodySignature}
	for _, value := range c.Receiver.Headers {
		values = append(values, value)
		if _, credentials, ok := strings.Cut(value, " "); ok { // "Bearer …"
			values = append(values, credentials)
		}
	}
	if u, err := url.Parse(c.Receiver.URL); err == nil {
		for part := range strings.SplitSeq(u.RawQuery, "&") {
			_, value, _ := strings.Cut(part, "=")
			values = append(values, value)
		}
		for _, of := range u.Query() {
			values = append(values, of...)
		}
	}
	for entry := range strings.FieldsSeq(req.Header.Get("Webhook-Signature")) {
		_, sum, _ := strings.Cut(entry, ",")
		values = append(values, sum)
	}
	slices.SortFunc(values, func(a, b string) int { return len(b) - len(a) })
	return values
}
