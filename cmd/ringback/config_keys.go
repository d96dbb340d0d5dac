package main

import (
	"encoding"
	"reflect"
	"slices"
)

// joinKey appends a name to a dotted key; the root's key is "".
func joinKey(parent, name string) string {
	if parent == "" {
		return name
	}
	return parent + "." + name
}

// fieldName is the key of a field within its section.
func fieldName(field reflect.StructField) string { return field.Tag.Get("yaml") }

// fieldNames are the keys of a section.
func fieldNames(section reflect.Type) []string {
	var names []string
	for field := range fieldsOf(section) {
		names = append(names, fieldName(field))
	}
	return names
}

// settingKeys are the dotted keys of all settings below a section. A list is
// one setting.
func settingKeys(section reflect.Type, parent string) []string {
	var keys []string
	for field := range fieldsOf(section) {
		key := joinKey(parent, fieldName(field))
		if isSection(field.Type) {
			keys = append(keys, settingKeys(field.Type, key)...)
		} else {
			keys = append(keys, key)
		}
	}
	return keys
}

// fieldsOf ranges over the fields of a section.
func fieldsOf(section reflect.Type) func(yield func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range section.NumField() {
			if !yield(section.Field(i)) {
				return
			}
		}
	}
}

// isSection tells settings with settings below them from single values.
func isSection(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && !reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// typeAt is the type of the setting at a path, or nil where there is none.
func typeAt(path []string) reflect.Type {
	t := reflect.TypeFor[Config]()
	for _, name := range path {
		if !isSection(t) {
			return nil
		}
		index := slices.Index(fieldNames(t), name)
		if index < 0 {
			return nil
		}
		t = t.Field(index).Type
	}
	return t
}
