package providers

import "time"

const (
	defaultConcurrency = 32
	defaultRetries     = 5
	defaultTimeout     = 10 * time.Minute
)

// What [Config].Responses may be.
const (
	ResponsesNative = "native"
	ResponsesChat   = "chat"
)

// TypeOpenAI is the only provider type so far: an upstream that speaks OpenAI's
// HTTP API.
const TypeOpenAI = "openai"

// Config describes one upstream.
type Config struct {
	// Name is how jobs, logs and pages call it: lower-case letters, digits, '-'
	// and '_', unique.
	Name string
	// Type is "openai"; empty means the same.
	Type string
	// BaseURL is what stands before "/chat/completions", for example
	// "https://api.openai.com/v1". A query in it is kept on every call.
	BaseURL string
	// APIKey is sent as "Authorization: Bearer"; empty sends none.
	APIKey string
	// Headers are sent with every call, and win over those made from other keys.
	Headers map[string]string
	// Models are patterns: '*' stands for any characters, '/' included, and '?'
	// for one character.
	Models []string
	// Concurrency is the most calls in flight for each model, of all processes that share
	// their limits; 0 means 32. So it is with the limits a minute.
	Concurrency int
	// PerProcess is the most calls in flight from this process for each model, where
	// that is fewer than Concurrency; 0 means no bound of its own.
	PerProcess int
	// RequestsPerMinute for each model; 0 means no limit.
	RequestsPerMinute int
	// TokensPerMinute for each model, input and output together; 0 means no limit.
	TokensPerMinute int
	// Timeout bounds a whole call, the answer's last byte included; 0 means 10 min.
	Timeout time.Duration
	// Media describes asynchronous jobs of the provider's own.
	Media []MediaConfig
	// Responses is "chat" where the upstream has no /v1/responses and callers
	// translate; empty or "native" where it has.
	Responses string
	// Retries is how often a failed call is made again; 0 means 5, a negative
	// number means never.
	Retries int
}

func (c Config) filled() Config {
	if c.Concurrency == 0 {
		c.Concurrency = defaultConcurrency
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if c.Retries == 0 {
		c.Retries = defaultRetries
	}
	c.Retries = max(c.Retries, 0)
	return c
}

// openAtOnce is how many calls of a model this process may have in flight.
func (c Config) openAtOnce() int {
	if c.PerProcess > 0 {
		return min(c.Concurrency, c.PerProcess)
	}
	return c.Concurrency
}
