package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// longestPrompt is the server's default bound on a JSON body.
const longestPrompt = 16 << 20

const submitGenerateHelp = `Submit one model call that is answered later. The prompt comes from --prompt or
standard input. With --watch, standard output holds the answer alone, and the
progress goes to standard error.`

const submitGenerateExample = `  ringback submit generate --model sim-small --prompt 'Why is the sky blue?' --watch
  ringback submit generate --model sim-small --param max_tokens=64 --webhook https://example.com/hook < prompt.txt`

// generateSubmission is one `submit generate`.
type generateSubmission struct {
	submission
	model  string
	prompt string
	params []string
}

func newSubmitGenerateCommand() *cobra.Command {
	s := &generateSubmission{}
	cmd := clientCommand(&cobra.Command{
		Use:     "generate --model MODEL [--prompt TEXT]",
		Short:   "Submit one model call; the prompt comes from --prompt or stdin",
		Long:    submitGenerateHelp + exitHelp(exitEnded, exitAway),
		Example: submitGenerateExample,
		Args:    cobra.NoArgs,
	}, s.run)
	s.addFlags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&s.model, "model", "", "`MODEL` to call, as sim-small")
	flags.StringVar(&s.prompt, "prompt", "", "`TEXT` to answer (default: all of stdin)")
	addParams(cmd, &s.params)
	completeFlag(cmd, "model", models)
	return cmd
}

// addParams adds the flag for what a provider takes beside the named flags.
func addParams(cmd *cobra.Command, params *[]string) {
	cmd.Flags().StringArrayVar(params, "param", nil, "further parameter for the provider, `NAME=JSON`; repeatable, as in --param seed=42")
}

func (s *generateSubmission) run(ctx context.Context, on *session) error {
	body, err := s.body(on.in)
	if err != nil {
		return err
	}
	generation, err := on.client.Generate(ctx, body)
	if err != nil {
		return err
	}
	progress := on.print.out
	if s.watch {
		progress = on.notes
	}
	if err := s.accepted(ctx, on, progress, generation.raw, s.model); err != nil || !s.watch {
		return err
	}
	generation, err = on.client.Generation(ctx, generation.ID)
	if err != nil {
		return err
	}
	if on.print.json {
		return printLine(on.print.out, generation.text)
	}
	return on.print.printf("%s\n", generation.ModelOutput)
}

// body is the request that the flags and stdin make.
func (s *generateSubmission) body(stdin io.Reader) (map[string]any, error) {
	if s.model == "" {
		return nil, usagef("name the model with --model, as in --model sim-small")
	}
	shared, err := s.submission.body()
	if err != nil {
		return nil, err
	}
	input, err := s.input(stdin)
	if err != nil {
		return nil, err
	}
	return bodyOf(shared, s.params, map[string]any{"model": s.model, "input": input})
}

// bodyOf puts together what a body says of any job, what --param adds, and
// what a command's own flags say.
func bodyOf(shared Submission, params []string, own map[string]any) (map[string]any, error) {
	values, err := pairs("param", params)
	if err != nil {
		return nil, err
	}
	body := map[string]any{}
	for name, value := range values {
		if !json.Valid([]byte(value)) {
			return nil, usagef("--param %s: %q is not JSON; a text needs quotes: '%s=\"…\"'", name, value, name)
		}
		body[name] = json.RawMessage(value)
	}
	text, err := json.Marshal(shared)
	if err == nil {
		err = json.Unmarshal(text, &body)
	}
	for name, value := range own {
		body[name] = value
	}
	return body, err
}

func (s *generateSubmission) input(stdin io.Reader) (string, error) {
	if s.prompt != "" {
		return s.prompt, nil
	}
	if file, ok := stdin.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		return "", usagef("give the prompt with --prompt, or pipe it in")
	}
	text, err := io.ReadAll(io.LimitReader(stdin, longestPrompt))
	if err != nil {
		return "", fmt.Errorf("read the prompt from stdin: %w", err)
	}
	if strings.TrimSpace(string(text)) == "" {
		return "", usagef("the prompt is empty: give it with --prompt, or pipe it in")
	}
	return string(text), nil
}
