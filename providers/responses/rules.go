package responses

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// rule checks one parameter that is there and not null.
type rule func(name string, v gjson.Result) *Problem

// rules are the parameters that are looked at, with the ranges of OpenAI's API document. What they do not know is
// forwarded.
var rules = map[string]rule{
	"model":                isText(0),
	"input":                isInput,
	"instructions":         isText(0),
	"previous_response_id": isText(0),
	"conversation":         isAnything,
	"background":           isTruth,
	"store":                isTruth,
	"stream":               isTruth,
	"stream_options":       isObject,
	"metadata":             isMetadata,
	"max_output_tokens":    isWhole(16, math.MaxInt64),
	"max_tool_calls":       isWhole(0, math.MaxInt64),
	"top_logprobs":         isWhole(0, 20),
	"temperature":          isNumber(0, 2),
	"top_p":                isNumber(0, 1),
	"parallel_tool_calls":  isTruth,
	"tools":                isTools,
	"tool_choice":          isChoice,
	"reasoning":            isObject,
	"text":                 isFormat,
	"truncation":           isOneOf("auto", "disabled"),
	"service_tier":         isText(0),
	"include":              isTexts,
	"user":                 isText(0),
	"safety_identifier":    isText(64),
	"prompt_cache_key":     isText(0),
	"prompt":               isObject,
}

func isAnything(string, gjson.Result) *Problem { return nil }

// isText wants a string of at most so many characters; 0 is no bound.
func isText(most int) rule {
	return func(name string, v gjson.Result) *Problem {
		if v.Type != gjson.String {
			return wrongType(name, "a string", v)
		}
		if n := utf8.RuneCountInString(v.Str); most > 0 && n > most {
			return tooLong(name, most, n)
		}
		return nil
	}
}

func tooLong(name string, most, got int) *Problem {
	return problem(codeLong, name, "Invalid '%s': string too long. Expected a string with maximum length %d, but got a string with length %d instead.", name, most, got)
}

func isTruth(name string, v gjson.Result) *Problem {
	if !v.IsBool() {
		return wrongType(name, "a boolean", v)
	}
	return nil
}

func isObject(name string, v gjson.Result) *Problem {
	if !v.IsObject() {
		return wrongType(name, "an object", v)
	}
	return nil
}

func isOneOf(values ...string) rule {
	return func(name string, v gjson.Result) *Problem {
		if v.Type != gjson.String {
			return wrongType(name, "a string", v)
		}
		for _, value := range values {
			if v.Str == value {
				return nil
			}
		}
		return problem(codeValue, name, "Invalid value: '%s'. Supported values are: '%s'.", shorten(v.Str), strings.Join(values, "', '"))
	}
}

// shorten keeps a client's own value readable in a message.
func shorten(s string) string {
	if utf8.RuneCountInString(s) <= 64 {
		return s
	}
	return string([]rune(s)[:64]) + "…"
}

func isWhole(least, most int64) rule {
	return func(name string, v gjson.Result) *Problem {
		n, err := strconv.ParseInt(v.Raw, 10, 64)
		switch {
		case v.Type != gjson.Number || err != nil:
			return wrongType(name, "an integer", v)
		case n < least:
			return problem(codeBelow, name, "Invalid '%s': integer below minimum value. Expected a value >= %d, but got %d instead.", name, least, n)
		case n > most:
			return problem(codeAbove, name, "Invalid '%s': integer above maximum value. Expected a value <= %d, but got %d instead.", name, most, n)
		}
		return nil
	}
}

func isNumber(least, most float64) rule {
	return func(name string, v gjson.Result) *Problem {
		switch {
		case v.Type != gjson.Number:
			return wrongType(name, "a decimal", v)
		case v.Num < least:
			return problem(codeLow, name, "Invalid '%s': decimal below minimum value. Expected a value >= %v, but got %s instead.", name, least, shorten(v.Raw))
		case v.Num > most:
			return problem(codeHigh, name, "Invalid '%s': decimal above maximum value. Expected a value <= %v, but got %s instead.", name, most, shorten(v.Raw))
		}
		return nil
	}
}

// isMetadata wants an object of at most 16 strings of 512 characters, their keys of 64.
func isMetadata(name string, v gjson.Result) *Problem {
	if !v.IsObject() {
		return wrongType(name, "an object", v)
	}
	var p *Problem
	pairs := 0
	v.ForEach(func(key, value gjson.Result) bool {
		pairs++
		if n := utf8.RuneCountInString(key.String()); n > 64 {
			p = problem(codeLong, name, "Invalid property name in 'metadata': string too long. Expected at most 64 characters, but got %d instead.", n)
		} else {
			p = isText(512)(name+"."+key.String(), value)
		}
		return p == nil
	})
	if p == nil && pairs > 16 {
		p = problem(codeMany, name, "Invalid 'metadata': too many properties. Expected an object with at most 16 properties, but got %d instead.", pairs)
	}
	return p
}

// each checks the elements of an array.
func each(name string, v gjson.Result, check rule) *Problem {
	if !v.IsArray() {
		return wrongType(name, "an array", v)
	}
	var p *Problem
	i := 0
	v.ForEach(func(_, value gjson.Result) bool {
		p = check(fmt.Sprintf("%s[%d]", name, i), value)
		i++
		return p == nil
	})
	return p
}

func isTexts(name string, v gjson.Result) *Problem { return each(name, v, isText(0)) }

func isTools(name string, v gjson.Result) *Problem { return each(name, v, isTool) }

func isTool(name string, v gjson.Result) *Problem {
	typ := v.Get("type")
	switch {
	case !v.IsObject():
		return wrongType(name, "an object", v)
	case !typ.Exists():
		return missing(name + ".type")
	case typ.Type != gjson.String:
		return wrongType(name+".type", "a string", typ)
	case typ.Str == "function" && v.Get("name").Type != gjson.String:
		return missing(name + ".name")
	}
	return nil
}

func isChoice(name string, v gjson.Result) *Problem {
	if v.Type != gjson.String && !v.IsObject() {
		return wrongType(name, "a string or an object", v)
	}
	return nil
}

func isFormat(name string, v gjson.Result) *Problem {
	if !v.IsObject() {
		return wrongType(name, "an object", v)
	}
	format := v.Get("format")
	if !given(format) {
		return nil
	}
	if !format.IsObject() {
		return wrongType(name+".format", "an object", format)
	}
	typ := format.Get("type")
	if !typ.Exists() {
		return missing(name + ".format.type")
	}
	return isOneOf("text", "json_object", "json_schema")(name+".format.type", typ)
}
