package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback"
)

var update = flag.Bool("update", false, "write the documents that are made from the program")

const settingsDocument = "../../docs/settings.md"

// TestSettingsDocument makes docs/settings.md out of config.yaml. After a change there:
//
//	go test ./cmd/ringback -run TestSettingsDocument -update
func TestSettingsDocument(t *testing.T) {
	t.Parallel()
	said := readSettings(t, ringback.DefaultConfig)
	want := settingKeys(reflect.TypeFor[Config](), "")
	for _, list := range []struct {
		key     string
		element reflect.Type
	}{{"providers", reflect.TypeFor[ProviderConfig]()}, {"providers[].media", reflect.TypeFor[MediaConfig]()}} {
		for _, key := range settingKeys(list.element, "") {
			want = append(want, list.key+"[]."+key)
		}
	}
	var keys []string
	for _, s := range said {
		keys = append(keys, s.key)
	}
	require.ElementsMatch(t, want, keys, "config.yaml tells each setting")
	text := settingsText(said)
	if *update {
		require.NoError(t, os.WriteFile(settingsDocument, text, 0o644))
	}
	kept, err := os.ReadFile(settingsDocument)
	require.NoError(t, err)
	require.Equal(t, string(text), string(kept), "run: go test ./cmd/ringback -run TestSettingsDocument -update")
}

// setting is one of config.yaml.
type setting struct {
	section  string // what it stands under
	about    string // the section's own comment
	key      string // dotted; [] in a list of groups
	standing string // the value in config.yaml
	meaning  string
}

var settingLine = regexp.MustCompile(`^( *)(- )?([a-z_0-9]+):(?: (.*))?$`)

// readSettings reads config.yaml line by line: each setting stands behind its comment. The example of a provider is commented
// out; its own comments are so twice.
func readSettings(t *testing.T, file []byte) (found []setting) {
	t.Helper()
	var comment, path []string
	var about string
	for i, line := range strings.Split(string(file), "\n") {
		if line == "" {
			comment = nil
			continue
		}
		step := 2 // columns of one level
		if text, is := strings.CutPrefix(line, "#  "); is && len(path) > 0 && path[0] == "providers" {
			line, step = strings.Replace(text, "- #", "#", 1), 4 // each entry of a list is two further in
		}
		if text, is := strings.CutPrefix(strings.TrimSpace(line), "#"); is {
			comment = append(comment, strings.TrimSpace(text))
			continue
		}
		m := settingLine.FindStringSubmatch(line)
		require.NotNil(t, m, "line %d of config.yaml: %s", i+1, line)
		depth := (len(m[1]) + step - 2) / step
		path = append(path[:min(depth, len(path))], m[3])
		s := setting{key: dotted(path), standing: m[4], meaning: strings.Join(comment, " "), section: path[0]}
		comment = nil
		switch {
		case s.standing == "" && s.key != "providers[].media":
			about = s.meaning
			continue // a group
		case depth == 0:
			about = ""
		}
		if s.meaning == "" {
			s.meaning = "As the one above."
		}
		s.about = about
		found = append(found, s)
	}
	return found
}

// dotted is a path as people write it. The groups of a list begin below providers and media.
func dotted(path []string) string {
	key := strings.Join(path, ".")
	key = strings.Replace(key, "providers.", "providers[].", 1)
	return strings.Replace(key, ".media.", ".media[].", 1)
}

func settingsText(all []setting) []byte {
	var b bytes.Buffer
	b.WriteString(`# Settings

Every setting with its default, made from [config.yaml](../config.yaml) by a test. The name in the environment stands below the
setting's own; ` + "`ringback config`" + ` prints what is in force, secrets as ` + "`***`" + `.

Later ones win: the defaults, the file (` + "`--config PATH`" + `, else ` + "`./config.yaml`" + `), the environment, ` + "`--set key=value`" + `. Values in the
environment and in ` + "`--set`" + ` are read as YAML. ` + "`${NAME}`" + ` in a text is that environment variable. A secret may be given as
` + "`file:/path`" + `. Durations are ` + "`500ms`, `10s`, `5m`, `2h`, `30d`" + `; sizes are bytes, ` + "`200MB`" + ` (millions) or ` + "`16MiB`" + ` (1,048,576 each).
`)
	section := "\x00"
	for _, s := range all {
		if s.section != section {
			section = s.section
			fmt.Fprintf(&b, "\n## %s\n\n", section)
			if s.about != "" {
				b.WriteString(s.about + "\n\n")
			}
			b.WriteString("| setting | default | secret | meaning |\n|---|---|---|---|\n")
		}
		meaning := strings.TrimPrefix(strings.TrimPrefix(s.meaning, "Secret. "), "Secrets. ")
		name := "`" + s.key + "`"
		if !strings.Contains(s.key, "[]") {
			name += "<br>`RINGBACK_" + strings.ToUpper(strings.ReplaceAll(s.key, ".", "__")) + "`"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", name, standing(s), hidden(s.key), cell(meaning))
	}
	return b.Bytes()
}

// hidden says what ringback config does not print of a setting.
func hidden(key string) string {
	t := reflect.TypeFor[Config]()
	for _, name := range strings.Split(strings.ReplaceAll(key, "[]", ""), ".") {
		for t.Kind() == reflect.Slice {
			t = t.Elem()
		}
		for field := range fieldsOf(t) {
			if fieldName(field) == name {
				t = field.Type
				break
			}
		}
	}
	switch {
	case t == reflect.TypeFor[Secret](), t == reflect.TypeFor[[]Secret](), t == reflect.TypeFor[map[string]Secret]():
		return "yes"
	case t == reflect.TypeFor[Address]():
		return "its password"
	}
	return ""
}

// standing is the default. In the example of a provider it is what stands there, which is the default too where there is one.
func standing(s setting) string {
	switch {
	case s.standing == "" || s.key == "providers[].models" || s.key == "providers[].name" || s.key == "providers[].base_url" || s.key == "providers[].api_key":
		return ""
	}
	return "`" + cell(s.standing) + "`"
}

var placeholder = regexp.MustCompile(`[<>]`)

// cell is a text in a table of Markdown.
func cell(text string) string {
	return placeholder.ReplaceAllString(strings.ReplaceAll(text, "|", `\|`), `\$0`)
}
