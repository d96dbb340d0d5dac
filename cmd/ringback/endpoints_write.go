package main

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/tidwall/gjson"
)

// endpointFlags are an endpoint's fields on the command line.
type endpointFlags struct {
	url         string
	name        string
	description string
	types       []string
	models      []string
	headers     []string
	removed     []string
	timeout     string
	schedule    []string
}

func (e *endpointFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&e.name, "name", "", "`NAME` to know it by (default: its host)")
	flags.StringVar(&e.description, "description", "", "`TEXT` about it")
	flags.StringSliceVar(&e.types, "types", nil, "`TYPES` of events that it gets, as 'batch.*,generation.failed'")
	flags.StringSliceVar(&e.models, "models", nil, "`PATTERNS`: only events of jobs of these models, as 'gpt-*'; '' for all")
	flags.StringArrayVar(&e.headers, "header", nil, "header of its callbacks, `'Name: value'`; repeatable")
	flags.StringVar(&e.timeout, "timeout", "", "`TIME` for one attempt, 1s to 30s; '' for the server's setting")
	flags.StringSliceVar(&e.schedule, "schedule", nil, "`WAITS` before each attempt, as 0s,1m,1h; '' for the server's setting")
	completeFlag(cmd, "types", eventTypes)
	completeFlag(cmd, "models", models)
}

// body holds the fields whose flags were given; an empty value goes back to
// the default.
func (e *endpointFlags) body(given *pflag.FlagSet) map[string]any {
	body := map[string]any{}
	for _, f := range []struct {
		flag, key string
		value     any
		empty     bool
	}{
		{"url", "url", e.url, e.url == ""},
		{"name", "name", e.name, e.name == ""},
		{"description", "description", e.description, e.description == ""},
		{"types", "event_types", e.types, len(e.types) == 0},
		{"models", "models", e.models, len(e.models) == 0},
		{"timeout", "timeout", e.timeout, e.timeout == ""},
		{"schedule", "schedule", e.schedule, len(e.schedule) == 0},
	} {
		if !given.Changed(f.flag) {
			continue
		}
		body[f.key] = f.value
		if f.empty {
			body[f.key] = nil
		}
	}
	return body
}

func newEndpointsAddCommand() *cobra.Command {
	e := &endpointFlags{}
	cmd := &cobra.Command{
		Use:     "add URL",
		Aliases: []string{"create"},
		Short:   "Register an endpoint, and show its signing secret once",
		Long: `Register an endpoint. Its signing secret is shown here and never again: give it
to the receiver. Without --types it gets the events that end jobs.`,
		Example: "  ringback endpoints add https://example.com/hook --name billing --types 'batch.*,generation.completed'\n" +
			"  ringback endpoints add https://example.com/hook --header 'X-Token: s3cret' --timeout 20s --schedule 0s,1m,1h --json",
		Args: cobra.ExactArgs(1),
	}
	flags := cmd.Flags()
	clientCommand(cmd, func(ctx context.Context, s *session) error {
		body := e.body(flags)
		body["url"] = s.args[0]
		if len(e.types) == 0 {
			body["event_types"] = endingTypes
		}
		headers, err := headerPairs(e.headers)
		if err != nil {
			return err
		}
		body["headers"] = headers
		return s.addEndpoint(ctx, body)
	})
	e.add(cmd)
	return cmd
}

// endingTypes are the events that end jobs, of every kind.
var endingTypes = []string{
	"batch.completed", "batch.failed", "batch.expired", "batch.cancelled",
	"generation.completed", "generation.failed", "generation.cancelled",
	"response.completed", "response.incomplete", "response.failed", "response.cancelled",
	"fine_tuning.job.succeeded", "fine_tuning.job.failed", "fine_tuning.job.cancelled",
}

func (s *session) addEndpoint(ctx context.Context, body map[string]any) error {
	var created raw
	if err := s.client.create(ctx, endpointKind.path[:len(endpointKind.path)-1], body, &created); err != nil {
		return err
	}
	return s.print.object(created.text, func(e gjson.Result) error {
		err := s.print.fields(e, "health", "signing_secret_hint")
		s.note("keep the signing secret: it is not shown again\ntry it: ringback endpoints test %s", e.Get("id"))
		return err
	})
}

func newEndpointsUpdateCommand() *cobra.Command {
	e := &endpointFlags{}
	cmd := &cobra.Command{
		Use:     "update ID",
		Aliases: []string{"set"},
		Short:   "Change what the flags name of an endpoint, and nothing else",
		Long: `Change what the flags name of an endpoint, and nothing else. It counts from the
next attempt on, for what waits already too. --header sets one header and leaves
the others.` + exitHelp(exitNotFound),
		Example: "  ringback endpoints update " + anEndpoint + " --url https://example.com/new-hook\n" +
			"  ringback endpoints update " + anEndpoint + " --types '*' --timeout 30s --header 'X-Token: other'",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: oneOf(endpointIDs),
	}
	flags := cmd.Flags()
	clientCommand(cmd, func(ctx context.Context, s *session) error {
		if err := wantKind("endpoint", s.args); err != nil {
			return err
		}
		body := e.body(flags)
		if err := e.changeHeaders(ctx, s, body); err != nil {
			return err
		}
		if len(body) == 0 {
			return usagef("say what to change, as --url https://example.com/hook")
		}
		return s.act(ctx, endpointPath(s.args[0]), body, func(o gjson.Result) error { return s.print.fields(o) })
	})
	e.add(cmd)
	flags.StringVar(&e.url, "url", "", "`URL` to call from now on")
	flags.StringArrayVar(&e.removed, "remove-header", nil, "`NAME` of a header to leave out; repeatable")
	return cmd
}

// changeHeaders puts single changes over the headers that there are. Reads hide
// values as ***, and what is written as *** stays.
func (e *endpointFlags) changeHeaders(ctx context.Context, s *session, body map[string]any) error {
	changes, err := headerPairs(e.headers)
	if err != nil || len(changes)+len(e.removed) == 0 {
		return err
	}
	var endpoint struct {
		Headers map[string]string `json:"headers"`
	}
	if err := s.client.get(ctx, endpointPath(s.args[0]), &endpoint); err != nil {
		return err
	}
	headers := map[string]string{}
	maps.Copy(headers, endpoint.Headers)
	for _, name := range e.removed {
		if !removeHeader(headers, name) {
			return fmt.Errorf("the endpoint has no header %q", name)
		}
	}
	for name, value := range changes {
		removeHeader(headers, name)
		headers[name] = value
	}
	body["headers"] = headers
	return nil
}

// removeHeader knows that the case of a header's name does not matter.
func removeHeader(headers map[string]string, name string) (had bool) {
	for kept := range headers {
		if strings.EqualFold(kept, name) {
			delete(headers, kept)
			had = true
		}
	}
	return had
}
