package examples

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// drivers print what each language's snippet, alone, says of the message in the environment.
const (
	goDriver = `package main

import (
	"fmt"
	"net/http"
	"os"
)

func main() {
	h := http.Header{}
	for _, name := range []string{"id", "timestamp", "signature"} {
		h.Set("webhook-"+name, os.Getenv(name))
	}
	fmt.Println(verify(os.Getenv("secret"), h, []byte(os.Getenv("body"))))
}
`
	pythonDriver = `
import os
headers = {"webhook-" + name: os.environ[name] for name in ("id", "timestamp", "signature")}
print(str(verify(os.environ["secret"], headers, os.environ["body"].encode())).lower())
`
	javascriptDriver = `
const { id, timestamp, signature, secret, body } = process.env;
const headers = { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signature };
console.log(verify(secret, headers, Buffer.from(body)));
`
)

// A snippet that is copied without its receiver verifies too, and a secret that somebody forgot to set opens nothing: its
// key would be empty, and everybody has that one.
func TestSnippetsStandAlone(t *testing.T) {
	t.Parallel()
	for name, command := range aloneCommands(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			good := callback("evt_1", "job_1", 1, "batch.completed")
			require.Equal(t, "true", says(t, command, firstSecret, good))
			require.Equal(t, "false", says(t, command, secondSecret, good))
			for _, secret := range []string{"", "whsec_", "whsec_QUFBQQ=="} {
				forged := signed("evt_1", good.body, time.Now(), "whsec_"+strings.TrimPrefix(secret, "whsec_"))
				require.Equal(t, "false", says(t, command, secret, forged), secret)
			}
		})
	}
}

// aloneCommands writes each snippet with its driver, and builds what needs it.
func aloneCommands(t *testing.T) map[string][]string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		return file
	}
	snippet := map[string]string{}
	for language, file := range snippets() {
		text, err := region(file)
		require.NoError(t, err)
		snippet[language] = text
	}
	program := filepath.Join(dir, "alone")
	built, err := exec.Command("go", "build", "-o", program, write("main.go", goDriver), copyOf(t, write, "receiver-go/verify.go")).CombinedOutput()
	require.NoError(t, err, "%s", built)
	return map[string][]string{
		"go":         {program},
		"python":     {"python3", write("alone.py", snippet["python"]+pythonDriver)},
		"javascript": {"node", write("alone.mjs", snippet["javascript"]+javascriptDriver)},
	}
}

// copyOf takes the whole file, since Go's imports stand outside the snippet.
func copyOf(t *testing.T, write func(name, text string) string, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	return write(filepath.Base(file), string(text))
}

func says(t *testing.T, command []string, secret string, m message) string {
	t.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "secret="+secret, "body="+m.body)
	for _, name := range []string{"id", "timestamp", "signature"} {
		cmd.Env = append(cmd.Env, name+"="+m.headers.Get("webhook-"+name))
	}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return strings.TrimSpace(string(out))
}
