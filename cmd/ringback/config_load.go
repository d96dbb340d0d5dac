package main

import (
	"errors"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/knadh/koanf/v2"

	"github.com/ringback/ringback"
)

// defaultConfigFile is read where it exists and no other file is named.
const defaultConfigFile = "config.yaml"

// ConfigSources names the layers over the embedded defaults, in their order:
// a later one wins, setting by setting; lists are replaced whole.
type ConfigSources struct {
	File    string   // a file that must exist; "" = ./config.yaml if it is there
	NoFile  bool     // read no file at all
	Environ []string // NAME=value pairs; also what ${NAME} is expanded from
	Set     []string // key=value pairs, the value being YAML
}

// LoadConfig reads all layers. The warnings are lines for the log, each naming
// its key. The error is a *ConfigError that names every problem at once.
func LoadConfig(sources ConfigSources) (Config, []string, error) {
	l := &configLoader{
		layers:  koanf.New("."),
		environ: environMap(sources.Environ),
		fromEnv: map[string]bool{},
	}
	l.addYAML("the embedded defaults", ringback.DefaultConfig)
	if !sources.NoFile {
		l.addFile(sources.File)
	}
	l.addEnviron(sources.Environ)
	l.addSettings(sources.Set)

	cfg := l.decode()
	l.check(cfg)
	return cfg, l.warnings, l.err()
}

// configLoader merges the layers and collects what is wrong with them.
type configLoader struct {
	findings
	layers  *koanf.Koanf
	environ map[string]string
	fromEnv map[string]bool // keys that the environment set
}

// layer hands a parsed tree to koanf, which merges it.
type layer map[string]any

func (l layer) ReadBytes() ([]byte, error)    { return nil, errors.New("a layer is parsed already") }
func (l layer) Read() (map[string]any, error) { return l, nil }

func (l *configLoader) addFile(path string) {
	name := path
	if name == "" {
		name = defaultConfigFile
	}
	text, err := os.ReadFile(name)
	if path == "" && errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		l.problem("--config", "%v", err)
		return
	}
	l.addYAML(name, text)
}

func (l *configLoader) addYAML(source string, text []byte) {
	var tree map[string]any
	if err := yaml.Unmarshal(text, &tree); err != nil {
		l.problem(source, "%s", yamlProblem(err))
		return
	}
	l.add(source, tree)
}

// addEnviron takes RINGBACK_A__B as a.b. A name without two underscores counts
// only where it names a whole top-level setting: RINGBACK_API_KEY and
// RINGBACK_SERVER are the client commands', others may be an orchestrator's.
func (l *configLoader) addEnviron(environ []string) {
	for _, pair := range slices.Sorted(slices.Values(environ)) {
		name, text, _ := strings.Cut(pair, "=")
		rest, ours := strings.CutPrefix(name, "RINGBACK_")
		if !ours || name == envServer || name == envAPIKey {
			continue
		}
		path := strings.Split(strings.ToLower(rest), "__")
		if len(path) == 1 && typeAt(path) == nil {
			continue
		}
		if l.addValue(name, path, text) {
			l.fromEnv[strings.Join(path, ".")] = true
		}
	}
}

func (l *configLoader) addSettings(settings []string) {
	for _, setting := range settings {
		key, text, ok := strings.Cut(setting, "=")
		if !ok || key == "" {
			l.problem("--set", "%q is not KEY=VALUE", setting)
			continue
		}
		l.addValue("--set", strings.Split(key, "."), text)
	}
}

// addValue lays one setting over the others. Empty is "" for a text and
// "not set" for all else.
func (l *configLoader) addValue(source string, path []string, text string) bool {
	value, err := parseSetting(text, typeAt(path))
	if err != nil {
		l.problem(strings.Join(path, "."), "from %s: %s", source, yamlProblem(err))
		return false
	}
	for _, name := range slices.Backward(path) {
		value = map[string]any{name: value}
	}
	l.add(source, value.(map[string]any))
	return true
}

// add checks a tree's keys, drops what is wrong and merges the rest.
func (l *configLoader) add(source string, tree map[string]any) {
	l.checkKeys(source, "", reflect.TypeFor[Config](), tree)
	if err := l.layers.Load(layer(tree), nil); err != nil {
		l.problem(source, "%v", err)
	}
}

// parseSetting reads a value as YAML. A setting that is a text takes an
// unquoted value as it stands, so that a key like 0123 or a#b survives.
func parseSetting(text string, target reflect.Type) (any, error) {
	if target != nil && target.Kind() == reflect.String && !strings.HasPrefix(text, `"`) && !strings.HasPrefix(text, "'") {
		return text, nil
	}
	var value any
	err := yaml.Unmarshal([]byte(text), &value)
	return value, err
}

// yamlProblem is a YAML error in one line: "[3:5] what".
func yamlProblem(err error) string {
	first, _, _ := strings.Cut(yaml.FormatError(err, false, false), "\n")
	return "not readable as YAML: " + first
}

func environMap(environ []string) map[string]string {
	values := make(map[string]string, len(environ))
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		values[name] = value
	}
	return values
}
