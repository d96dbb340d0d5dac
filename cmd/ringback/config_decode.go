package main

import (
	"encoding"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
)

// decode turns the merged layers into a Config. What cannot be read is a
// problem that names its key, and stays zero.
func (l *configLoader) decode() Config {
	var cfg Config
	l.decodeValue("", l.layers.Raw(), reflect.ValueOf(&cfg).Elem())
	return cfg
}

// decodeValue reads one value of any shape into a setting of any type.
func (l *configLoader) decodeValue(key string, in any, out reflect.Value) {
	switch {
	case isSection(out.Type()):
		l.decodeSection(key, in, out)
	case out.Kind() == reflect.Slice:
		l.decodeList(key, in, out)
	case out.Kind() == reflect.Map:
		l.decodeMap(key, in, out)
	default:
		l.decodeScalar(key, in, out)
	}
}

func (l *configLoader) decodeSection(key string, in any, out reflect.Value) {
	if filled, ok := out.Addr().Interface().(interface{ setDefaults() }); ok {
		filled.setDefaults()
	}
	tree, ok := in.(map[string]any)
	if !ok {
		l.problem(key, "wants settings, got %s", inWords(in))
		return
	}
	for i := range out.NumField() {
		name := fieldName(out.Type().Field(i))
		if value, set := tree[name]; set && value != nil {
			l.decodeValue(joinKey(key, name), value, out.Field(i))
		}
	}
}

func (l *configLoader) decodeList(key string, in any, out reflect.Value) {
	list, ok := in.([]any)
	if !ok {
		l.problem(key, "wants a list, got %s: write [a, b]", inWords(in))
		return
	}
	out.Set(reflect.MakeSlice(out.Type(), len(list), len(list)))
	for i, value := range list {
		l.decodeValue(fmt.Sprintf("%s[%d]", key, i), value, out.Index(i))
	}
}

func (l *configLoader) decodeMap(key string, in any, out reflect.Value) {
	tree, ok := in.(map[string]any)
	if !ok {
		l.problem(key, "wants names and values, got %s: write {Name: value}", inWords(in))
		return
	}
	out.Set(reflect.MakeMap(out.Type()))
	for _, name := range slices.Sorted(maps.Keys(tree)) {
		value := reflect.New(out.Type().Elem()).Elem()
		l.decodeScalar(joinKey(key, name), tree[name], value)
		out.SetMapIndex(reflect.ValueOf(name), value)
	}
}

// decodeScalar expands a text and reads it as the setting's type.
func (l *configLoader) decodeScalar(key string, in any, out reflect.Value) {
	literal := true
	if text, ok := in.(string); ok {
		expanded, ok := l.expand(key, text)
		if !ok {
			return
		}
		literal = expanded == text
		in = expanded
	}
	switch target := out.Addr().Interface().(type) {
	case *Secret:
		l.decodeSecret(key, in, literal, target)
	case *time.Duration:
		l.decodeDuration(key, in, target)
	case encoding.TextUnmarshaler:
		l.decodeText(key, in, target)
	default:
		l.decodeBasic(key, in, out)
	}
}

func (l *configLoader) decodeDuration(key string, in any, out *time.Duration) {
	duration, err := parseDuration(fmt.Sprint(in))
	if err != nil {
		l.problem(key, "%s is not a duration: write a number and ms, s, m, h or d, as in 500ms, 10s, 5m, 30d", inWords(in))
		return
	}
	*out = duration
}

func (l *configLoader) decodeText(key string, in any, out encoding.TextUnmarshaler) {
	if err := out.UnmarshalText([]byte(fmt.Sprint(in))); err != nil {
		l.problem(key, "%s %s", inWords(in), reason(out, err))
	}
}

// reason goes on from the value in a sentence; the standard library's errors
// do not.
func reason(target encoding.TextUnmarshaler, err error) string {
	switch target.(type) {
	case *netip.Prefix:
		return "is not a network: write an address and its prefix length, as in 10.1.0.0/16"
	case *slog.Level:
		return "is not a level: write debug, info, warn or error"
	}
	return err.Error()
}

func (l *configLoader) decodeBasic(key string, in any, out reflect.Value) {
	if text, ok := in.(string); ok && out.Kind() != reflect.String {
		in = reread(text)
	}
	text := fmt.Sprint(in)
	switch out.Kind() {
	case reflect.String:
		if _, ok := in.(string); !ok {
			l.problem(key, "wants a text, got %s: put it in quotes", inWords(in))
			return
		}
		out.SetString(text)
	case reflect.Bool:
		value, ok := in.(bool)
		if !ok {
			l.problem(key, "wants true or false, got %s", inWords(in))
		}
		out.SetBool(value)
	case reflect.Int:
		value, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			l.problem(key, "wants a whole number, got %s", inWords(in))
		}
		out.SetInt(value)
	case reflect.Float64:
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			l.problem(key, "wants a number, got %s", inWords(in))
		}
		out.SetFloat(value)
	}
}

// reread gives a text that came out of ${NAME} the type that YAML would.
func reread(text string) any {
	var value any
	if yaml.Unmarshal([]byte(text), &value) != nil {
		return text
	}
	return value
}

// inWords names a value in a problem.
func inWords(in any) string {
	switch value := in.(type) {
	case nil:
		return "nothing"
	case string:
		return strconv.Quote(strings.ToValidUTF8(value, "?"))
	case map[string]any:
		return "settings"
	case []any:
		return "a list"
	}
	return fmt.Sprint(in)
}
