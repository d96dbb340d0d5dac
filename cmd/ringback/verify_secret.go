package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ringback/ringback/callbacks/signature"
)

// envSecret holds signing secrets for the commands that sign or verify; the
// server does not read it.
const envSecret = "RINGBACK_SECRET"

// secretFlags say where a signing secret comes from. What they read is never
// printed.
type secretFlags struct {
	texts []string
	file  string
}

func (s *secretFlags) add(cmd *cobra.Command, what string) {
	flags := cmd.Flags()
	flags.StringArrayVar(&s.texts, "secret", nil, "`SECRET` (whsec_…) "+what+"; other users of this machine can see it here: better in $"+envSecret+" or --secret-file")
	flags.StringVar(&s.file, "secret-file", "", "`FILE` with the secret; - is stdin")
}

// read is what the first of --secret, --secret-file and $RINGBACK_SECRET
// holds, in words; none is no error. The file and the variable may hold
// several, as in a rotation.
func (s *secretFlags) read(stdin io.Reader) ([]string, error) {
	if len(s.texts) > 0 && s.file != "" {
		return nil, usagef("--secret and --secret-file are two ways to say the same: keep one")
	}
	if len(s.texts) > 0 {
		return s.texts, nil
	}
	if s.file == "" {
		return strings.Fields(os.Getenv(envSecret)), nil
	}
	text, err := readSecretFile(s.file, stdin)
	if err == nil && strings.TrimSpace(text) == "" {
		err = usagef("--secret-file %s is empty", s.file)
	}
	return strings.Fields(text), err
}

// one is the only secret, fit to sign, or "" for none.
func (s *secretFlags) one(stdin io.Reader) (Secret, error) {
	found, err := s.read(stdin)
	if err != nil || len(found) == 0 {
		return "", err
	}
	if len(found) > 1 {
		return "", usagef("one secret signs here, and %d were given", len(found))
	}
	if signature.CheckSecret(found[0]) != nil {
		return "", usagef("the secret given cannot sign: it is whsec_ and the padded base64 of 24 to 64 bytes")
	}
	return Secret(found[0]), nil
}

func readSecretFile(path string, stdin io.Reader) (string, error) {
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return "", err
		}
		defer file.Close()
		stdin = file
	}
	text, err := io.ReadAll(io.LimitReader(stdin, 64<<10))
	if err != nil {
		return "", fmt.Errorf("read --secret-file: %w", err)
	}
	return string(text), nil
}

// orProject is the only secret, or the project's where none was given.
func (s *secretFlags) orProject(ctx context.Context, stdin io.Reader, client *Client) (Secret, error) {
	secret, err := s.one(stdin)
	if err != nil || secret != "" {
		return secret, err
	}
	secret, err = client.SigningSecret(ctx)
	if err != nil {
		return "", fmt.Errorf("no secret was given (--secret-file or $%s), and the project's cannot be read: %w", envSecret, err)
	}
	return secret, nil
}
