package main

import (
	"net/url"
	"strings"

	"github.com/google/uuid"
)

// idKind is what the form of an ID tells about its object.
type idKind struct {
	prefix string
	what   string
	path   string // without the ID
	job    bool
}

var idKinds = []idKind{
	{"batch_", "batch", "/v1/batches/", true},
	{"gen_", "generation", "/v1/generate/", true},
	{"resp_", "response", "/v1/responses/", true},
	{"ftjob-", "fine-tuning", "/v1/fine_tuning/jobs/", true},
	{"file-", "file", "/v1/files/", false},
	{"evt_", "event", "/v1/events/", false},
	{"dlv_", "delivery", "/v1/deliveries/", false},
}

var endpointKind = idKind{"", "endpoint", "/v1/webhook_endpoints/", false}

// kindOf knows an object by its ID; endpoints have UUIDs.
func kindOf(id string) (idKind, error) {
	for _, kind := range idKinds {
		if strings.HasPrefix(id, kind.prefix) {
			return kind, nil
		}
	}
	if uuid.Validate(id) == nil {
		return endpointKind, nil
	}
	return idKind{}, usagef("%q is no ID: it begins with batch_, gen_, resp_, ftjob-, file-, evt_ or dlv_, or is an endpoint's UUID", id)
}

func (k idKind) pathOf(id string) string { return k.path + url.PathEscape(id) }

// jobPath is a job's path among jobs of every kind.
func jobPath(id string) string { return "/v1/jobs/" + url.PathEscape(id) }

// wantJobs refuses IDs that are no jobs', before anything is sent.
func wantJobs(ids []string) error {
	for _, id := range ids {
		kind, err := kindOf(id)
		if err != nil {
			return err
		}
		if !kind.job {
			return usagef("%s is a %s, not a job (batch_…, gen_…, resp_…, ftjob-…)%s", id, kind.what, kind.place())
		}
	}
	return nil
}

// wantKind refuses IDs of another kind.
func wantKind(what string, ids []string) error {
	for _, id := range ids {
		kind, err := kindOf(id)
		if err != nil {
			return err
		}
		if kind.what != what {
			return usagef("%s is a %s, not a %s%s", id, kind.what, what, kind.place())
		}
	}
	return nil
}

// place names the command that is about a kind.
func (k idKind) place() string {
	switch k.what {
	case "delivery":
		return ": see ringback deliveries --help"
	case "endpoint":
		return ": see ringback endpoints --help"
	case "file":
		return ": see ringback files --help"
	case "event":
		return ": see ringback events --help"
	}
	return ": see ringback --help"
}
