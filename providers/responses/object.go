package responses

import (
	"strconv"

	"github.com/tidwall/gjson"
)

// Object is a response at one moment.
type Object struct {
	ID          string
	Status      string
	Model       string
	CreatedAt   int64   // Unix seconds
	CompletedAt int64   // Unix seconds; shown only when completed
	Settings    []byte  // what the request set, see [Request.Settings]
	Error       Failure // of a failed one
	Reason      string  // why it is incomplete: max_output_tokens or content_filter
	Output      []byte  // an array of items; nil is an empty one
	Usage       []byte  // an object; nil while there is none
	ServiceTier []byte  // the tier that served it, as a JSON string; nil for what the request said
}

// Failure is why a response failed.
type Failure struct {
	Code    string // on OpenAI's closed list, see [Listed]; our own failures are ServerError, RateLimitExceeded or InvalidPrompt
	Message string
}

// JSON renders the response with every key that OpenAI's document requires. Times are integers, which some clients insist
// on; output_text is left to the SDKs, which compute it.
func (o Object) JSON() []byte {
	b := []byte(`{"id":` + quote(o.ID) + `,"object":"response","created_at":`)
	b = strconv.AppendInt(b, o.CreatedAt, 10)
	b = append(b, `,"status":`+quote(o.Status)+`,"background":true,"completed_at":`+o.completedAt()...)
	b = append(b, `,"error":`+o.failure()+`,"incomplete_details":`+o.details()...)
	b = append(b, `,"model":`+quote(o.Model)+`,"output":`+orElse(o.Output, "[]")+`,"usage":`+orElse(o.Usage, "null")...)
	b = append(b, '}')
	return extend(b, o.members())
}

// members are the settings without their braces.
func (o Object) members() []byte {
	settings := o.Settings
	if o.ServiceTier != nil {
		settings = edit(settings, func(key string, _ gjson.Result) (string, bool) {
			if key == "service_tier" {
				return string(member(key, string(o.ServiceTier))), true
			}
			return "", true
		})
	}
	if len(settings) < 2 {
		return nil
	}
	return settings[1 : len(settings)-1]
}

func (o Object) completedAt() string {
	if o.Status != Completed {
		return "null"
	}
	return strconv.FormatInt(o.CompletedAt, 10)
}

func (o Object) failure() string {
	if o.Status != Failed {
		return "null"
	}
	return `{"code":` + quote(o.Error.Code) + `,"message":` + quote(o.Error.Message) + `}`
}

func (o Object) details() string {
	if o.Status != Incomplete || o.Reason == "" {
		return "null"
	}
	return `{"reason":` + quote(o.Reason) + `}`
}

func orElse(raw []byte, fallback string) string {
	if len(raw) == 0 {
		return fallback
	}
	return string(raw)
}
