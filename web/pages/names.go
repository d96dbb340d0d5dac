package pages

import (
	"cmp"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

// nameOf is what people call a job: what its client named it, or its kind and the end of its ID.
func nameOf(j *jobs.Job) string {
	metadata := gjson.ParseBytes(j.Metadata)
	for _, key := range []string{"name", "title", "description", "job_description"} {
		if name := metadata.Get(key).String(); name != "" {
			return name
		}
	}
	if j.Tuning != nil && j.Tuning.Suffix != "" {
		return j.Tuning.Suffix
	}
	return kindWord(j.Kind) + " " + tail(j.ID)
}

// kindOfID tells a job's kind by its ID.
func kindOfID(id string) jobs.Kind {
	switch {
	case len(id) > 6 && id[:6] == "batch_":
		return jobs.KindBatch
	case len(id) > 6 && id[:6] == "ftjob-":
		return jobs.KindTuning
	case len(id) > 5 && id[:5] == "resp_":
		return jobs.KindResponse
	}
	return jobs.KindGeneration
}

// tail is the end of an ID, by which people tell it from others.
func tail(id string) string {
	if len(id) <= 6 {
		return id
	}
	return "…" + id[len(id)-6:]
}

// receiver is who a delivery goes to, as people know it.
type receiver struct {
	Name string
	Href string // of its endpoint; empty for a job's own webhook
}

// receivers names endpoints by their IDs.
type receivers map[string]callbacks.Endpoint

func (known receivers) of(d *callbacks.Delivery) receiver {
	if d.EndpointID == "" {
		return receiver{Name: withoutScheme(d.URL)}
	}
	e, ok := known[d.EndpointID]
	if !ok {
		return receiver{Name: withoutScheme(d.URL)}
	}
	return receiver{Name: endpointName(&e), Href: "/webhooks/" + e.ID}
}

func endpointName(e *callbacks.Endpoint) string {
	return cmp.Or(strings.TrimSpace(e.Name), withoutScheme(e.URL))
}

func withoutScheme(url string) string {
	for _, scheme := range []string{"https://", "http://"} {
		if len(url) > len(scheme) && url[:len(scheme)] == scheme {
			return url[len(scheme):]
		}
	}
	return url
}
