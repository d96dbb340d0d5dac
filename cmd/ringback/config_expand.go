package main

import (
	"os"
	"regexp"
	"strings"
)

var (
	variable     = regexp.MustCompile(`\$\$|\$\{[^}]*\}?`)
	variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// expand replaces ${NAME} by the environment's value and $$ by $. False means
// that a problem was reported.
func (l *configLoader) expand(key, text string) (string, bool) {
	ok := true
	expanded := variable.ReplaceAllStringFunc(text, func(found string) string {
		if found == "$$" {
			return "$"
		}
		value, good := l.variable(key, found)
		ok = ok && good
		return value
	})
	return expanded, ok
}

func (l *configLoader) variable(key, found string) (string, bool) {
	name := strings.TrimSuffix(strings.TrimPrefix(found, "${"), "}")
	if !variableName.MatchString(name) || !strings.HasSuffix(found, "}") {
		l.problem(key, "has a ${ that begins no variable: write ${NAME}, or $$ for a plain $")
		return "", false
	}
	value, set := l.environ[name]
	if !set {
		l.problem(key, "names ${%s}, but the environment variable %s is not set", name, name)
	}
	return value, set
}

// decodeSecret takes a secret from the environment or from file:/path; a
// literal in a file or on the command line is taken with a warning. Problems
// never show the value.
func (l *configLoader) decodeSecret(key string, in any, literal bool, out *Secret) {
	text, ok := in.(string)
	if !ok {
		l.problem(key, "wants a text: put it in quotes")
		return
	}
	if path, isFile := strings.CutPrefix(text, "file:"); isFile {
		*out = l.secretFile(key, path)
		return
	}
	if literal && text != "" && !l.setByEnviron(key) && !strings.Contains(key, ".headers.") {
		l.warn(key, "this secret stands in clear; better take it from the environment (${NAME}) or a file (file:/path)")
	}
	*out = Secret(text)
}

func (l *configLoader) secretFile(key, path string) Secret {
	text, err := os.ReadFile(path)
	if err != nil {
		l.problem(key, "the secret's file cannot be read: %v", err)
		return ""
	}
	secret := strings.TrimRight(string(text), "\r\n")
	if secret == "" {
		l.problem(key, "the secret's file %s is empty", path)
	}
	return Secret(secret)
}

// setByEnviron tells whether the key, or the list or section it stands in,
// came from an environment variable.
func (l *configLoader) setByEnviron(key string) bool {
	for from := range l.fromEnv {
		rest, below := strings.CutPrefix(key, from)
		if below && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			return true
		}
	}
	return false
}
