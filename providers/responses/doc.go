// Package responses knows what OpenAI's Responses objects look like: the request, its input items, the response in each
// of its states, and the events of its stream. It translates between them and chat completions, for upstreams that
// speak only those. It does no I/O and keeps nothing: bytes in, bytes out.
//
// Values are moved, never decoded and encoded again: numbers and strings keep the bytes with which they came.
package responses

// NewID makes an identifier that begins with a prefix like "msg_".
type NewID func(prefix string) string

// The states of a response.
const (
	Queued     = "queued"
	InProgress = "in_progress"
	Completed  = "completed"
	Incomplete = "incomplete"
	Failed     = "failed"
	Cancelled  = "cancelled"
)

// The codes of a failed response. OpenAI's list is closed, and the rest of it is about things that do not happen here.
const (
	ServerError       = "server_error"
	RateLimitExceeded = "rate_limit_exceeded"
	InvalidPrompt     = "invalid_prompt"
)
