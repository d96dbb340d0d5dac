package jobs

import (
	"cmp"

	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/providers"
	"github.com/ringback/ringback/providers/responses"
)

// response is the job as OpenAI's Response object. Once there is an answer, that is the object; before, and where there
// is none, it is made from the row and from what the request said.
func (s *Snapshot) response() []byte {
	if len(s.Result) > 0 {
		return s.Result
	}
	o := s.responseState()
	if s.Status == Failed {
		o.Error = responseFailure(s.Errors)
	}
	return o.JSON()
}

func (s *Snapshot) responseState() responses.Object {
	o := responses.Object{
		ID: s.ID, Status: string(s.Status), Model: s.Model, CreatedAt: s.CreatedAt.Unix(), CompletedAt: s.EndedAt.Unix(),
	}
	if s.Response == nil { // lists and events that are too long leave it out
		o.Settings = responses.Defaults(s.Metadata)
	} else {
		o.Settings = s.Response.Settings
	}
	return o
}

// responseFailure is why a response failed: in the provider's own words where it said some, in a code of OpenAI's closed
// list.
func responseFailure(kept []byte) responses.Failure {
	v := gjson.ParseBytes(kept)
	words := cmp.Or(v.Get("body.error.message").Str, v.Get("body.message").Str, v.Get("message").Str, "The response could not be made.")
	f := responses.Failure{Code: responses.ServerError, Message: words}
	said := cmp.Or(v.Get("body.error.code").Str, v.Get("body.code").Str)
	switch kind := providers.Kind(v.Get("code").Str); {
	case responses.Listed(said):
		f.Code = said
	case kind == providers.RateLimited, kind == providers.QuotaExceeded:
		f.Code = responses.RateLimitExceeded
	case kind == providers.Rejected:
		f.Code = responses.InvalidPrompt
	}
	return f
}
