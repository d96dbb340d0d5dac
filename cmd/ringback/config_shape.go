package main

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
)

// checkKeys reports keys that no setting has and sections that are not maps.
// These and empty (null) values are taken out of the tree, so that what is
// below them keeps its defaults.
func (l *configLoader) checkKeys(source, parent string, section reflect.Type, tree map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(tree)) {
		index := slices.Index(fieldNames(section), name)
		switch {
		case index < 0:
			l.unknownKey(source, parent, name, section)
			delete(tree, name)
		case tree[name] == nil || !l.checkValue(source, joinKey(parent, name), section.Field(index).Type, tree[name]):
			delete(tree, name)
		}
	}
}

// checkValue goes on below sections and lists of sections.
func (l *configLoader) checkValue(source, key string, t reflect.Type, value any) bool {
	if isSection(t) {
		tree, ok := value.(map[string]any)
		if !ok {
			l.problem(key, "is a group of settings, not a value (in %s): set %s.%s and its like", source, key, fieldNames(t)[0])
			return false
		}
		l.checkKeys(source, key, t, tree)
	}
	if list, ok := value.([]any); ok && t.Kind() == reflect.Slice && isSection(t.Elem()) {
		return l.checkList(source, key, t.Elem(), list)
	}
	return true
}

func (l *configLoader) checkList(source, key string, element reflect.Type, list []any) bool {
	ok := true
	for i, value := range list {
		ok = l.checkValue(source, fmt.Sprintf("%s[%d]", key, i), element, value) && ok
	}
	return ok
}
