package main

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringback/ringback/callbacks/signature"
)

const verifyHelp = `Check a captured callback, and say what is wrong with it and what to do.

FILE holds the request as it came: the request line or not, the headers, an
empty line, and the bytes of the body; - is stdin. What follows behind
Content-Length is left out. Or give each header with --header and the body with
--body.

It verifies with the secrets and public keys that are given or, where none is,
with the project's own secret and the default project's public key, which it
reads from the server. Exit code 0: the callback verifies. 1: it does not.`

// verifyCommand is one `verify`, as the flags say it.
type verifyCommand struct {
	secrets   secretFlags
	public    []string
	headers   []string
	body      string
	tolerance time.Duration
	at        string
	bodyName  string
	json      bool
}

func newVerifyCommand() *cobra.Command {
	v := &verifyCommand{}
	cmd := &cobra.Command{
		Use:   "verify FILE",
		Short: "Check the signature of a captured callback and say what is wrong",
		Long:  verifyHelp,
		Example: "  RINGBACK_SECRET=whsec_… ringback verify request.txt\n" +
			"  ringback verify --header 'webhook-id: evt_…' --header 'webhook-timestamp: …' --header 'webhook-signature: v1,…' --body body.json",
		Args: cobra.MaximumNArgs(1),
	}
	connect := clientFlags(cmd)
	v.addFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		client, err := connect()
		if err != nil {
			return err
		}
		defer client.Close()
		return v.run(cmd, client, args)
	}
	return cmd
}

func (v *verifyCommand) addFlags(cmd *cobra.Command) {
	v.secrets.add(cmd, "to verify with; repeatable")
	flags := cmd.Flags()
	flags.StringArrayVar(&v.public, "public-key", nil, "public key to verify v1a signatures with, `whpk_…`; repeatable")
	flags.StringArrayVar(&v.headers, "header", nil, "header of the callback, `'Name: value'`; repeatable")
	flags.StringVar(&v.body, "body", "", "`FILE` with the bytes of its body; - is stdin")
	flags.DurationVar(&v.tolerance, "tolerance", 5*time.Minute, "how far webhook-timestamp may be away")
	flags.StringVar(&v.at, "at", "", "`TIME` to check it for, Unix seconds or RFC 3339 (default: now)")
	flags.StringVar(&v.bodyName, "body-signature-header", signature.DefaultBodyHeader, "`NAME` of the header that signs the body alone")
	flags.BoolVar(&v.json, "json", false, "print one JSON object")
}

func (v *verifyCommand) run(cmd *cobra.Command, client *Client, args []string) error {
	at, err := readInstant(v.at)
	if err != nil {
		return err
	}
	if err := v.checkInputs(args); err != nil {
		return err
	}
	captured, err := v.capture(cmd.InOrStdin(), args)
	if err != nil {
		return err
	}
	verifier, err := v.verifier(cmd, client, captured)
	if err != nil {
		return err
	}
	now := cmp.Or(at, time.Now())
	found := verification{
		Verified: verifier.Verify(captured.Header, captured.Body, now, v.tolerance) == nil,
		ID:       captured.Header.Get(signature.HeaderID),
		Time:     captured.Header.Get(signature.HeaderTimestamp),
		Bytes:    len(captured.Body),
		Findings: verifier.Diagnose(captured.Header, captured.Body, now, v.tolerance),
	}
	return found.report(cmd.OutOrStdout(), v.json)
}

// readInstant is the zero time for "".
func readInstant(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.Unix(seconds, 0), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, usagef("--at %q is neither Unix seconds nor RFC 3339, as in 2026-01-25T00:00:00Z", text)
	}
	return at, nil
}

// checkInputs wants one way to name the request, and one reader of stdin.
func (v *verifyCommand) checkInputs(args []string) error {
	parts := len(v.headers) > 0 || v.body != ""
	switch {
	case len(args) == 0 && !parts:
		return usagef("name the captured request: a FILE or -, or --header and --body")
	case len(args) > 0 && parts:
		return usagef("a FILE holds headers and body: leave out --header and --body")
	case parts && (v.body == "" || len(v.headers) == 0):
		return usagef("--header and --body belong together")
	case v.secrets.file == "-" && (v.body == "-" || len(args) > 0 && args[0] == "-"):
		return usagef("stdin holds the secret or the request, not both")
	case v.tolerance < 0:
		return usagef("--tolerance is 0s or more")
	}
	return nil
}

// verifier takes the keys that are given, or else asks the server.
func (v *verifyCommand) verifier(cmd *cobra.Command, client *Client, captured capture) (signature.Verifier, error) {
	verifier := signature.Verifier{BodyHeader: v.bodyName}
	var err error
	if verifier.Secrets, err = v.secrets.read(cmd.InOrStdin()); err != nil {
		return verifier, err
	}
	for _, text := range v.public {
		key, err := signature.ParsePublicKey(text)
		if err != nil {
			return verifier, usagef("--public-key is none: it is whpk_ and the padded base64 of 32 bytes (ed25519)")
		}
		verifier.Public = append(verifier.Public, key)
	}
	if len(verifier.Secrets)+len(verifier.Public) == 0 || cmd.Flags().Changed("server") {
		err = askKeys(cmd.Context(), client, captured.Header, &verifier)
	}
	return verifier, err
}

// askKeys adds the project's secret, and its public keys where the callback
// has a signature for them.
func askKeys(ctx context.Context, client *Client, header http.Header, verifier *signature.Verifier) error {
	secret, err := client.SigningSecret(ctx)
	if err != nil {
		return fmt.Errorf("read the project's secret (--secret-file or $%s names one instead): %w", envSecret, err)
	}
	verifier.Secrets = append(verifier.Secrets, secret.Reveal())
	if !strings.Contains(strings.Join(header.Values(signature.HeaderSignature), " "), "v1a,") {
		return nil
	}
	keys, err := client.publicKeys(ctx)
	verifier.Public = append(verifier.Public, keys...)
	return err
}

// publicKeys are the default project's; a server without any has none.
func (c *Client) publicKeys(ctx context.Context) ([]ed25519.PublicKey, error) {
	document, err := c.Object(ctx, "/.well-known/jwks.json")
	var refused *APIError
	if errors.As(err, &refused) && refused.Status == http.StatusNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	// A document without a key that is known is as good as none.
	keys, _ := signature.ParseJWKS(document)
	return keys, nil
}

// verification is what was found, for people and for machines.
type verification struct {
	Verified bool                `json:"verified"`
	ID       string              `json:"webhook_id"`
	Time     string              `json:"webhook_timestamp"`
	Bytes    int                 `json:"body_bytes"`
	Findings []signature.Finding `json:"findings"`
}

// report prints it; a callback that does not verify is an error that has been
// told.
func (f verification) report(out io.Writer, asJSON bool) error {
	var err error
	if asJSON {
		err = writeJSONLine(out, f)
	} else {
		f.print(newScreen(out))
	}
	if err == nil && !f.Verified {
		err = silentFailure{}
	}
	return err
}
