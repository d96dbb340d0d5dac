package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
)

const endpointsPath = "/v1/webhook_endpoints"

// endpoint is a registered receiver, and what verifies its callbacks.
type endpoint struct {
	*receiver
	id, secret string
}

func (e endpoint) path() string { return endpointsPath + "/" + e.id }

// register has a receiver get events of these types, as `"batch.*", "file.created"`. more are further members, as
// `,"timeout":"1s"`.
func (s *server) register(hook *receiver, types, more string) endpoint {
	s.t.Helper()
	a := s.call(http.StatusOK, "POST", endpointsPath, fmt.Sprintf(`{"url":"%s/hook","event_types":[%s]%s}`, hook.server.URL, types, more))
	return endpoint{hook, a.get("id").String(), a.get("signing_secret").String()}
}

// deliveries are all that a filter picks, as "status=failed&endpoint_id=…", oldest first.
func (c *client) deliveries(filter string) (found []gjson.Result) {
	c.t.Helper()
	for after := ""; ; {
		page := c.read("/v1/deliveries?limit=100&" + filter + "&after=" + after)
		found = append(found, page.get("data").Array()...)
		if !page.get("has_more").Bool() {
			slices.Reverse(found)
			return found
		}
		after = found[len(found)-1].Get("id").String()
	}
}

// quiet waits until no job is open and no delivery is owed any more.
func (c *client) quiet() {
	c.t.Helper()
	for _, path := range []string{
		"/v1/jobs?limit=1&status=queued", "/v1/jobs?limit=1&status=validating", "/v1/jobs?limit=1&status=in_progress",
		"/v1/jobs?limit=1&status=finalizing", "/v1/deliveries?limit=1&status=sending", "/v1/deliveries?limit=1&status=waiting",
	} {
		eventually(c.t, path+" is empty", func() bool { return len(c.read(path).get("data").Array()) == 0 })
	}
	// A delivery that was being sent may have become one that waits, after the look at those.
	for _, path := range []string{"/v1/deliveries?limit=1&status=sending", "/v1/deliveries?limit=1&status=waiting", "/v1/deliveries?limit=1&status=sending"} {
		eventually(c.t, path+" is empty", func() bool { return len(c.read(path).get("data").Array()) == 0 })
	}
}

// arrived waits until a receiver has so many callbacks and gives them.
func (r *receiver) arrived(n int) []callback {
	r.t.Helper()
	eventually(r.t, fmt.Sprint(n, " callbacks have arrived"), func() bool { return len(r.all()) >= n })
	return r.all()
}

// types are the types of the callbacks about a subject, in the order of their sequence.
func (r *receiver) types(subject string) (types []string) {
	got := slices.DeleteFunc(r.all(), func(c callback) bool { return !c.about(subject) })
	slices.SortFunc(got, func(a, b callback) int { return int(a.get("sequence").Int() - b.get("sequence").Int()) })
	for _, c := range got {
		types = append(types, c.get("type").String())
	}
	return types
}

// exec changes the database of a stopped server, as no client can.
func (s *server) exec(t *testing.T, query string, args ...any) {
	t.Helper()
	require.Nil(t, s.process, "the server runs")
	_, err := openDatabase(t, s.dir).Exec(query, args...)
	require.NoError(t, err)
}
