package e2e

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// guides hold code that is run as it stands there, in the order in which it stands there.
const guides = "../docs/guides"

// fence is a fenced block of Markdown. What stands behind its language says what it is: a file's name, or check for code that
// needs packages which a test does not have: then its syntax alone is looked at.
type fence struct{ language, info, text string }

var fenceForm = regexp.MustCompile("(?ms)^```([a-z]+)(?: ([^\n]+))?\n(.*?)^```$")

func fences(markdown string) (found []fence) {
	for _, m := range fenceForm.FindAllStringSubmatch(markdown, -1) {
		found = append(found, fence{m[1], m[2], m[3]})
	}
	return found
}

// TestGuides does what each guide says, with the program itself, in an empty folder. Blocks of sh make one script; blocks with a
// file's name are that file. The ports that guides speak of are put off to free ones.
func TestGuides(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(guides, "*.md"))
	require.NoError(t, err)
	require.Len(t, files, 5)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".md"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			follow(t, string(text))
		})
	}
}

func follow(t *testing.T, markdown string) {
	t.Helper()
	const usual = "8787" // where the command line looks for a server
	ports := map[string]string{usual: freePort(t), "3000": freePort(t)}
	for port, free := range ports {
		markdown = regexp.MustCompile(`\b`+port+`\b`).ReplaceAllString(markdown, free)
	}
	dir, script := t.TempDir(), "set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null; wait' EXIT\n"
	for _, f := range fences(markdown) {
		switch {
		case f.info == "check":
			checkSyntax(t, f)
		case f.language == "sh":
			script += f.text + "\n"
		case f.info != "":
			require.NoError(t, os.WriteFile(filepath.Join(dir, f.info), []byte(f.text), 0o600))
		default:
			require.Contains(t, []string{"json", "yaml", "text"}, f.language, "code that nobody runs:\n%s", f.text)
		}
	}
	output, err := os.Create(filepath.Join(t.TempDir(), "output"))
	require.NoError(t, err)
	defer output.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	command := exec.CommandContext(ctx, "bash", "-c", script)
	command.Dir, command.Stdout, command.Stderr = dir, output, output
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	command.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "RINGBACK") })
	command.Env = append(command.Env, "PATH="+tools(t)+":"+os.Getenv("PATH"), "RINGBACK_SERVER=http://127.0.0.1:"+ports[usual])
	err = command.Run()
	_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL) // what it has left behind
	said, bad := os.ReadFile(output.Name())
	require.NoError(t, bad)
	require.NoError(t, err, "%s", said[max(0, len(said)-8000):])
}

// tools is a folder with the program under test and with Python itself: a wrapper would be what a script stops in its place.
func tools(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Symlink(binary, filepath.Join(dir, "ringback")))
	python, err := exec.CommandContext(t.Context(), "python3", "-c", "import sys; print(sys.executable)").Output()
	require.NoError(t, err)
	require.NoError(t, os.Symlink(strings.TrimSpace(string(python)), filepath.Join(dir, "python3")))
	return dir
}

// checkSyntax asks the language whether it can read the code.
func checkSyntax(t *testing.T, f fence) {
	t.Helper()
	ask := map[string][]string{
		"python":     {"python3", "-c", "import ast, sys; ast.parse(sys.stdin.read())"},
		"javascript": {"node", "--check", "--input-type=module", "-"},
		"go":         {"gofmt", "-e"},
	}[f.language]
	require.NotEmpty(t, ask, "code in %s cannot be checked", f.language)
	command := exec.CommandContext(t.Context(), ask[0], ask[1:]...)
	command.Stdin = strings.NewReader(f.text)
	said, err := command.CombinedOutput()
	require.NoError(t, err, "%s\n%s", f.text, said)
}

// freePort is one that nobody listens on now.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}
