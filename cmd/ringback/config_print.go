package main

import (
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
)

// Print writes the configuration as YAML in the order of config.yaml, with
// *** for each secret that is set.
func (c Config) Print(w io.Writer) error {
	text, err := yaml.MarshalWithOptions(printable(reflect.ValueOf(c)), yaml.IndentSequence(true))
	if err != nil {
		return fmt.Errorf("print the configuration: %w", err)
	}
	_, err = w.Write(text)
	return err
}

// printable turns a setting into what YAML should show.
func printable(value reflect.Value) any {
	switch setting := value.Interface().(type) {
	case time.Duration:
		return shortDuration(setting)
	case slog.Level:
		return strings.ToLower(setting.String())
	case fmt.Stringer:
		return setting.String()
	}
	switch value.Kind() {
	case reflect.Struct:
		return printableSection(value)
	case reflect.Slice:
		return printableList(value)
	case reflect.Map:
		return printableMap(value)
	}
	return value.Interface()
}

func printableSection(section reflect.Value) yaml.MapSlice {
	var items yaml.MapSlice
	for i := range section.NumField() {
		name := fieldName(section.Type().Field(i))
		items = append(items, yaml.MapItem{Key: name, Value: printable(section.Field(i))})
	}
	return items
}

func printableList(list reflect.Value) []any {
	items := make([]any, list.Len())
	for i := range items {
		items[i] = printable(list.Index(i))
	}
	return items
}

func printableMap(settings reflect.Value) yaml.MapSlice {
	items := yaml.MapSlice{}
	names := slices.SortedFunc(slices.Values(settings.MapKeys()), func(a, b reflect.Value) int {
		return strings.Compare(a.String(), b.String())
	})
	for _, name := range names {
		items = append(items, yaml.MapItem{Key: name.String(), Value: printable(settings.MapIndex(name))})
	}
	return items
}
