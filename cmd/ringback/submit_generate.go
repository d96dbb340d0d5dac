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

// generateSubmission is one `submit generate`.
type generateSubmission struct {
	submission
	model  string
	prompt string
	params []string
}

func newSubmitGenerateCommand(connect func() (*Client, error)) *cobra.Command {
	s := &generateSubmission{}
	cmd := &cobra.Command{
		Use:   "generate --model MODEL [--prompt TEXT]",
		Short: "Submit one model call; the prompt comes from --prompt or stdin",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := connect()
			if err != nil {
				return err
			}
			defer client.Close()
			return s.run(cmd.Context(), client, cmd)
		},
	}
	s.addFlags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&s.model, "model", "", "model to call, as in sim-small")
	flags.StringVar(&s.prompt, "prompt", "", "text to answer (default: all of stdin)")
	flags.StringArrayVar(&s.params, "param", nil, "further parameter for the provider, `NAME=JSON`; repeatable, as in --param max_tokens=64")
	return cmd
}

func (s *generateSubmission) run(ctx context.Context, client *Client, cmd *cobra.Command) error {
	body, err := s.body(cmd.InOrStdin())
	if err != nil {
		return err
	}
	generation, err := client.Generate(ctx, body)
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	if s.json {
		err = printLine(out, generation.text)
	} else if !s.watch {
		_, err = fmt.Fprintf(out, "accepted   %s  (%s)\nfollow it  ringback get %s --watch\n", generation.ID, s.model, generation.ID)
	}
	if err != nil || !s.watch {
		return err
	}
	return s.answer(ctx, client, cmd, generation.ID)
}

// answer follows the generation and prints what it brought. Progress goes to
// stderr, so that stdout holds the answer alone.
func (s *generateSubmission) answer(ctx context.Context, client *Client, cmd *cobra.Command, id string) error {
	progress := cmd.ErrOrStderr()
	if s.json {
		progress = cmd.OutOrStdout()
	}
	if err := s.follow(ctx, client, progress, id); err != nil {
		return err
	}
	generation, err := client.Generation(ctx, id)
	if err != nil {
		return err
	}
	if s.json {
		return printLine(cmd.OutOrStdout(), generation.text)
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), generation.ModelOutput)
	return err
}

// body is the request that the flags and stdin make.
func (s *generateSubmission) body(stdin io.Reader) (map[string]any, error) {
	if s.model == "" {
		return nil, usagef("name the model with --model, as in --model sim-small")
	}
	body, err := s.parameters()
	if err != nil {
		return nil, err
	}
	body["model"] = s.model
	if body["input"], err = s.input(stdin); err != nil {
		return nil, err
	}
	webhook, err := s.callback()
	if err != nil {
		return nil, err
	}
	if webhook != nil {
		body["webhook"] = webhook
	}
	metadata, err := pairs("metadata", s.metadata)
	if len(metadata) > 0 {
		body["metadata"] = metadata
	}
	return body, err
}

func (s *generateSubmission) parameters() (map[string]any, error) {
	values, err := pairs("param", s.params)
	if err != nil {
		return nil, err
	}
	body := make(map[string]any, len(values)+4)
	for name, value := range values {
		if !json.Valid([]byte(value)) {
			return nil, usagef("--param %s: %q is not JSON; a text needs quotes: '%s=\"…\"'", name, value, name)
		}
		body[name] = json.RawMessage(value)
	}
	return body, nil
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
