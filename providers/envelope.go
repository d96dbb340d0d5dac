package providers

import (
	"encoding/json"
	"fmt"
	"strings"

	openai "github.com/sashabaranov/go-openai"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/rawjson"
)

// envelope is what an upstream's error body says about itself.
type envelope struct {
	Code string
	Type string
}

// readEnvelope reads OpenAI's error envelope, {"error":{"type","code",…}}, and
// failing that the flat or message-less forms of other servers. A body that is
// neither gives the zero envelope.
func readEnvelope(body []byte) envelope {
	var said openai.ErrorResponse
	if json.Unmarshal(body, &said) == nil && said.Error != nil {
		code, _ := said.Error.Code.(string)
		return envelope{Code: code, Type: said.Error.Type}
	}
	if !rawjson.Valid(body) {
		return envelope{}
	}
	for _, at := range []string{"error", "@this"} {
		if object := gjson.GetBytes(body, at); object.IsObject() {
			return envelope{Code: object.Get("code").String(), Type: object.Get("type").String()}
		}
	}
	return envelope{}
}

// quota: no later call succeeds before somebody pays.
func (e envelope) quota() bool {
	for _, word := range []string{e.Code, e.Type} {
		switch word {
		case "insufficient_quota", "billing_hard_limit_reached", "billing_not_active":
			return true
		}
	}
	return false
}

// settled: the same request gets the same refusal. The codes without a type are
// those of OpenAI's Response object (ResponseError); its passing ones are
// server_error, rate_limit_exceeded and vector_store_timeout.
func (e envelope) settled() bool {
	if e.Type != "" {
		return e.Type == "invalid_request_error"
	}
	switch e.Code {
	case "", "server_error", "rate_limit_exceeded", "vector_store_timeout":
		return false
	}
	return isWord(e.Code)
}

// isWord tells a code that may be repeated to a client from free text, which
// could hold an address.
func isWord(code string) bool {
	return code != "" && len(code) <= 64 && strings.Trim(code, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

// explain makes the client's sentence from the kind, the status and the code.
func (e envelope) explain(kind Kind, status int) string {
	detail := fmt.Sprintf("HTTP %d", status)
	if isWord(e.Code) {
		detail += ", " + e.Code
	}
	return fmt.Sprintf(sentence(kind), detail)
}

func sentence(kind Kind) string {
	switch kind {
	case RateLimited:
		return "The provider limits the rate of requests (%s); wait or send fewer at a time."
	case QuotaExceeded:
		return "The provider's quota is used up (%s); ask the operator to raise it."
	case Overloaded:
		return "The provider failed or is overloaded (%s); try again later."
	case Unauthorized:
		return "The provider refused this server's credentials (%s); ask the operator to check its key and permissions."
	case Timeout:
		return "The provider gave up waiting (%s); try again."
	case InvalidAnswer:
		return "The provider answered with an error in place of a result (%s)."
	default:
		return "The provider rejected the request (%s); its answer says why."
	}
}
