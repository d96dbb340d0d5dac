package main

import (
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

// eachCommand visits every command of ours.
func eachCommand(root *cobra.Command, visit func(*cobra.Command)) {
	for _, cmd := range root.Commands() {
		visit(cmd)
		eachCommand(cmd, visit)
	}
}

func TestEveryCommandHelps(t *testing.T) {
	t.Parallel()
	root := newRootCommand()
	eachCommand(root, func(cmd *cobra.Command) {
		require.NotEmpty(t, cmd.Short, cmd.CommandPath())
		if cmd.IsAdditionalHelpTopicCommand() {
			require.Contains(t, cmd.Long, "\n  ringback ", "a topic has its examples in its text")
			return
		}
		require.GreaterOrEqual(t, strings.Count("\n"+cmd.Example, "\n  "), 2, "%s has too few examples", cmd.CommandPath())
		if cmd.Parent() == root && cmd.Runnable() {
			require.NotEmpty(t, cmd.GroupID, cmd.CommandPath())
		}
	})
}

var exampleCommand = regexp.MustCompile(`ringback ((?:[a-z-]+ )*[a-z-]+)([^|;&()]*)`)

// TestExamplesAreTrue: each command and flag of an example is there.
func TestExamplesAreTrue(t *testing.T) {
	t.Parallel()
	root := newRootCommand()
	flag := regexp.MustCompile(`(?:^| )--([a-z-]+)`)
	check := func(cmd *cobra.Command) {
		for _, found := range exampleCommand.FindAllStringSubmatch(cmd.Example+"\n"+cmd.Long, -1) {
			named, rest, err := root.Find(strings.Fields(found[1]))
			if err != nil || named == root || strings.HasPrefix(found[1], "runs ") {
				continue // a sentence
			}
			require.False(t, named.HasSubCommands() && len(rest) > 0, "%s: %s", cmd.CommandPath(), found[0])
			named.InitDefaultHelpFlag()
			line, _, _ := strings.Cut(found[2], "\n")
			for _, f := range flag.FindAllStringSubmatch(line, -1) {
				require.NotNil(t, named.Flags().Lookup(f[1]), "%s: %s has no --%s", cmd.CommandPath(), named.CommandPath(), f[1])
			}
		}
	}
	check(root)
	eachCommand(root, check)
}

// TestObjectsArePrintedAsJSONToo: whatever talks to a server takes --json.
func TestObjectsArePrintedAsJSONToo(t *testing.T) {
	t.Parallel()
	asked := 0
	eachCommand(newRootCommand(), func(cmd *cobra.Command) {
		if cmd.Flags().Lookup("server") == nil {
			return
		}
		asked++
		require.NotNil(t, cmd.Flags().Lookup("json"), cmd.CommandPath())
	})
	require.Greater(t, asked, 30)
}

func TestCompletionScripts(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish"} {
		code, script, errs := runCommand(t, "", "completion", shell)
		require.Equal(t, exitOK, code, errs)
		require.Contains(t, script, "ringback", shell)
		path, err := exec.LookPath(shell)
		if err != nil {
			continue // not installed here
		}
		check := exec.Command(path, "-n")
		check.Stdin = strings.NewReader(script)
		said, err := check.CombinedOutput()
		require.NoError(t, err, "%s: %s", shell, said)
	}
}

// complete presses the tab key at the end of a command line.
func complete(t *testing.T, args ...string) []string {
	t.Helper()
	code, out, errs := runCommand(t, "", append([]string{cobra.ShellCompRequestCmd}, args...)...)
	require.Equal(t, exitOK, code, errs)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	return lines[:len(lines)-1] // the last is the directive
}

func TestCompletionAsksTheServer(t *testing.T) {
	t.Parallel()
	server := newFakeServer(t)
	server.lists = map[string][]string{
		"/v1/jobs": {
			`{"id":"gen_1","kind":"generation","status":"queued","metadata":{"name":"mine"}}`,
			`{"id":"batch_2","kind":"batch","status":"completed"}`,
		},
		"/v1/webhook_endpoints": {`{"id":"` + anEndpoint + `","name":"billing","url":"https://a.example/"}`},
		"/v1/files":             {`{"id":"file-1","filename":"a.jsonl","purpose":"batch"}`},
		"/v1/deliveries":        {`{"id":"dlv_1","status":"failed","event_type":"batch.completed","url":"https://a.example/"}`},
		"/v1/events":            {`{"id":"evt_1","type":"batch.completed"}`},
		"/v1/models":            {`{"id":"sim-small"}`, `{"id":"sim-large"}`},
	}
	at := []string{"--server", server.URL}
	for _, test := range []struct {
		name string
		line []string
		want []string
	}{
		{"jobs", []string{"get", ""}, []string{"gen_1\tgeneration queued mine", "batch_2\tbatch completed"}},
		{"what has begun", []string{"get", "b"}, []string{"batch_2\tbatch completed"}},
		{"unfinished jobs alone", []string{"watch", ""}, []string{"gen_1\tgeneration queued mine"}},
		{"nothing twice", []string{"cancel", "gen_1", ""}, nil},
		{"deliveries", []string{"deliveries", "get", ""}, []string{"dlv_1\tfailed batch.completed https://a.example/"}},
		{"by the ID's beginning", []string{"get", "dlv_"}, []string{"dlv_1\tfailed batch.completed https://a.example/"}},
		{"endpoints", []string{"endpoints", "test", ""}, []string{anEndpoint + "\tbilling https://a.example/"}},
		{"a flag's endpoints", []string{"submit", "batch", "x", "--endpoint-id", ""}, []string{anEndpoint + "\tbilling https://a.example/"}},
		{"files", []string{"files", "download", ""}, []string{"file-1\ta.jsonl batch"}},
		{"events", []string{"events", "--after", ""}, []string{"evt_1\tbatch.completed"}},
		{"models", []string{"submit", "generate", "--model", "sim-l"}, []string{"sim-large"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			line := slices.Concat(at, test.line)
			if test.line[0] != "--server" {
				line = slices.Concat(test.line[:1], at, test.line[1:])
			}
			require.Equal(t, test.want, append([]string(nil), complete(t, line...)...))
		})
	}
	require.Contains(t, complete(t, "deliveries", "list", "--status", ""), "failed")
	require.Contains(t, complete(t, "events", "--types", "batch.completed,file.c"), "batch.completed,file.created")
}

func TestCompletionIsSilentWithoutAServer(t *testing.T) {
	t.Parallel()
	require.Empty(t, complete(t, "get", "--server", "http://127.0.0.1:1", ""))
	require.Empty(t, complete(t, "get", "--server", "nonsense", ""))
}
