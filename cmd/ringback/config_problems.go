package main

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// ConfigError lists everything that is wrong with a configuration, so that
// it is mended in one go. Each line begins with the key it is about.
type ConfigError struct {
	Problems []string
}

// Error is one line for one problem, else a heading and a line for each.
func (e *ConfigError) Error() string {
	if len(e.Problems) == 1 {
		return "configuration: " + e.Problems[0]
	}
	return fmt.Sprintf("configuration has %d problems:\n  %s", len(e.Problems), strings.Join(e.Problems, "\n  "))
}

// findings collects problems and warnings while a configuration is read.
type findings struct {
	problems []string
	warnings []string
}

func (f *findings) problem(key, format string, args ...any) {
	f.problems = append(f.problems, key+": "+fmt.Sprintf(format, args...))
}

func (f *findings) warn(key, format string, args ...any) {
	f.warnings = append(f.warnings, key+": "+fmt.Sprintf(format, args...))
}

// err is nil or a *ConfigError with each problem once.
func (f *findings) err() error {
	if len(f.problems) == 0 {
		return nil
	}
	seen := make(map[string]bool, len(f.problems))
	once := slices.DeleteFunc(slices.Clone(f.problems), func(line string) bool {
		repeated := seen[line]
		seen[line] = true
		return repeated
	})
	return &ConfigError{Problems: once}
}

// unknownKey reports a key that no setting has, and the one that was
// probably meant: a sibling of a like name, else a setting of that name in
// another place.
func (f *findings) unknownKey(source, parent, name string, siblings reflect.Type) {
	hint := ""
	if meant := meantKey(parent, name, siblings); meant != "" {
		hint = fmt.Sprintf("; %s is meant?", meant)
	}
	f.problem(joinKey(parent, name), "unknown key in %s%s", source, hint)
}

func meantKey(parent, name string, siblings reflect.Type) string {
	if near := nearest(name, fieldNames(siblings)); near != "" {
		return joinKey(parent, near)
	}
	for _, key := range settingKeys(reflect.TypeFor[Config](), "") {
		if key == name || strings.HasSuffix(key, "."+name) {
			return key
		}
	}
	return nearest(joinKey(parent, name), settingKeys(reflect.TypeFor[Config](), ""))
}

// nearest is the candidate with the fewest edits, if these are few enough to
// be a slip: two, or a quarter of a long name.
func nearest(name string, candidates []string) string {
	best, fewest := "", max(2, len(name)/4)+1
	for _, candidate := range candidates {
		if edits := editDistance(name, candidate); edits < fewest && edits < len(candidate) {
			best, fewest = candidate, edits
		}
	}
	return best
}

// editDistance counts insertions, deletions and replacements of bytes.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			above := row[j+1]
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			row[j+1] = min(cost, above+1, row[j]+1)
			diagonal = above
		}
	}
	return row[len(b)]
}
