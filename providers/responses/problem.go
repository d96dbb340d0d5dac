package responses

import (
	"fmt"
	"strconv"

	"github.com/tidwall/gjson"
)

// The codes of problems, in OpenAI's words.
const (
	codeMissing     = "missing_required_parameter"
	codeType        = "invalid_type"
	codeValue       = "invalid_value"
	codeUnsupported = "unsupported_parameter"
	codeBelow       = "integer_below_min_value"
	codeAbove       = "integer_above_max_value"
	codeLow         = "decimal_below_min_value"
	codeHigh        = "decimal_above_max_value"
	codeLong        = "string_above_max_length"
	codeMany        = "object_above_max_properties"
)

// Problem is why a request cannot be taken: OpenAI's code, the parameter it is about, and a sentence for the client.
type Problem struct {
	Code    string
	Param   string // empty where it is about none
	Message string
}

func (p *Problem) Error() string { return p.Code + ": " + p.Message }

func problem(code, param, format string, args ...any) *Problem {
	return &Problem{Code: code, Param: param, Message: fmt.Sprintf(format, args...)}
}

func missing(name string) *Problem {
	return problem(codeMissing, name, "Missing required parameter: '%s'.", name)
}

func wrongType(name, want string, got gjson.Result) *Problem {
	return problem(codeType, name, "Invalid type for '%s': expected %s, but got %s instead.", name, want, kind(got))
}

// kind names a value's type with its article, as OpenAI's messages do.
func kind(v gjson.Result) string {
	switch {
	case v.IsObject():
		return "an object"
	case v.IsArray():
		return "an array"
	case v.IsBool():
		return "a boolean"
	case v.Type == gjson.String:
		return "a string"
	case v.Type == gjson.Null:
		return "null"
	case isInteger(v):
		return "an integer"
	}
	return "a decimal"
}

func isInteger(v gjson.Result) bool {
	_, err := strconv.ParseInt(v.Raw, 10, 64)
	return v.Type == gjson.Number && err == nil
}
