package providers

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// idSlot stands for the job's ID in a configured path.
const idSlot = "{id}"

// MediaConfig describes asynchronous jobs of a provider's own: submit, poll,
// fetch. Paths are written as OpenAI's, with "/v1" for the base URL. A gjson path
// names a place in a JSON answer, like "data.0.url".
type MediaConfig struct {
	// Path of the submission, as clients name it in POST /v1/jobs: "/v1/videos".
	Path string
	// ID is the gjson path of the job's ID in the submission's answer; empty
	// means "id".
	ID string
	// Poll is the path of the poll with "{id}" in it; empty means Path + "/{id}".
	Poll string
	// Status is the gjson path of the state in the poll's answer; empty means
	// "status".
	Status string
	// Done are the states in which there is a result, in any case of letters;
	// empty means completed and succeeded.
	Done []string
	// Failed are the states in which there never will be; empty means failed,
	// cancelled, canceled, expired and error.
	Failed []string
	// Error is the gjson path of the failure's text; empty means "error.message".
	Error string
	// Progress is the gjson path of a number from 0 to 100; empty means "progress".
	Progress string
	// Fetch is the path of the result's bytes with "{id}" in it. Where Fetch and
	// URL are empty, the poll's answer is the result.
	Fetch string
	// URL is the gjson path of a URL in the poll's answer, from which the bytes
	// come: of base_url's own host, or https at a public address. The key is sent
	// only to base_url's host.
	URL string
	// Cancel is a method and a path with "{id}" in it, "DELETE /v1/videos/{id}" or
	// "POST /v1/x/{id}/cancel"; empty where jobs cannot be cancelled.
	Cancel string
	// Every is the time between two polls at the beginning; 0 means 1 s.
	Every time.Duration
}

func (c MediaConfig) filled() MediaConfig {
	for _, field := range []struct {
		of       *string
		fallback string
	}{
		{&c.ID, "id"},
		{&c.Poll, c.Path + "/" + idSlot},
		{&c.Status, "status"},
		{&c.Error, "error.message"},
		{&c.Progress, "progress"},
	} {
		if *field.of == "" {
			*field.of = field.fallback
		}
	}
	if len(c.Done) == 0 {
		c.Done = []string{"completed", "succeeded"}
	}
	if len(c.Failed) == 0 {
		c.Failed = []string{"failed", "cancelled", "canceled", "expired", "error"}
	}
	if c.Every == 0 {
		c.Every = time.Second
	}
	return c
}

func checkMedia(p *problems, all []MediaConfig) {
	seen := make(map[string]bool, len(all))
	for i, c := range all {
		at := &mediaProblems{problems: p, where: fmt.Sprintf("media[%d].", i)}
		c.check(at)
		if seen[c.Path] {
			at.add("path", "%q is described twice; keep one", c.Path)
		}
		seen[c.Path] = true
	}
}

// mediaProblems names the keys of one of several descriptions.
type mediaProblems struct {
	*problems
	where string
}

func (p *mediaProblems) add(key, format string, args ...any) {
	p.problems.add(p.where+key, format, args...)
}

func (c MediaConfig) check(p *mediaProblems) {
	if !plainPath(c.Path) || strings.ContainsAny(c.Path, "{}") {
		p.add("path", "needs a path like /v1/videos, without %s", idSlot)
	}
	if c.Poll != "" {
		checkIDPath(p, "poll", c.Poll)
	}
	if c.Fetch != "" {
		checkIDPath(p, "fetch", c.Fetch)
	}
	if c.Fetch != "" && c.URL != "" {
		p.add("url", "stands beside fetch; keep the one that gives the result")
	}
	if c.Cancel != "" {
		method, path := c.cancel()
		if method != http.MethodDelete && method != http.MethodPost {
			p.add("cancel", `needs DELETE or POST and a path, like "DELETE /v1/videos/{id}"`)
		}
		checkIDPath(p, "cancel", path)
	}
	if c.Every < 0 {
		p.add("every", "is negative; use 0 for the default or a positive duration")
	}
	c.filled().checkStates(p)
}

func checkIDPath(p *mediaProblems, key, path string) {
	without := strings.Replace(path, idSlot, "id", 1)
	if without == path || !plainPath(without) || strings.ContainsAny(without, "{}") {
		p.add(key, "needs a path like /v1/videos/%s, with one %s", idSlot, idSlot)
	}
}

func (c MediaConfig) checkStates(p *mediaProblems) {
	for _, state := range c.Done {
		if among(c.Failed, state) {
			p.add("done", "%q stands in failed too; keep it in one of them", state)
		}
	}
	for key, states := range map[string][]string{"done": c.Done, "failed": c.Failed} {
		if slices.Contains(states, "") {
			p.add(key, "holds an empty state; remove it")
		}
	}
}

func (c MediaConfig) cancel() (method, path string) {
	method, path, _ = strings.Cut(c.Cancel, " ")
	return method, path
}

func among(states []string, state string) bool {
	return slices.ContainsFunc(states, func(s string) bool { return strings.EqualFold(s, state) })
}
