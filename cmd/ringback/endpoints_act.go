package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	"github.com/tidwall/gjson"
)

func newEndpointsTestCommand() *cobra.Command {
	var typ string
	cmd := clientCommand(&cobra.Command{
		Use:   "test ID",
		Short: "Send a sample now, and say how it went",
		Long: `Send an endpoint a sample of an event now, signed as real ones are, and say how it
went. It is neither kept nor retried; its body says "test": true.` + exitHelp(exitNotFound, exitEnded),
		Example: "  ringback endpoints test " + anEndpoint + "\n" +
			"  ringback endpoints test " + anEndpoint + " --type batch.completed && echo it works",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: oneOf(endpointIDs),
	}, func(ctx context.Context, s *session) error { return s.testEndpoint(ctx, typ) })
	cmd.Flags().StringVar(&typ, "type", "", "`TYPE` of the event, as batch.completed (default webhook.test)")
	completeFlag(cmd, "type", eventTypes)
	return cmd
}

func (s *session) testEndpoint(ctx context.Context, typ string) error {
	if err := wantKind("endpoint", s.args); err != nil {
		return err
	}
	body := map[string]any{}
	if typ != "" {
		body["event_type"] = typ
	}
	answer, err := s.client.postOnce(ctx, endpointPath(s.args[0])+"/test", body)
	if err != nil {
		return err
	}
	err = s.print.object(answer, func(o gjson.Result) error {
		return s.showAttempt("test", o.Get("attempt"))
	})
	if err == nil && !gjson.GetBytes(answer, "success").Bool() {
		attempt := gjson.GetBytes(answer, "attempt")
		err = endedf("%s did not accept the test: %s", s.args[0], adviceFor(attempt.Get("error_class").String(), int(attempt.Get("status_code").Int())))
	}
	return err
}

func newEndpointsRotateCommand() *cobra.Command {
	var keep bool
	cmd := clientCommand(&cobra.Command{
		Use:   "rotate-secret ID",
		Short: "Make a new signing secret, and show it once",
		Example: "  ringback endpoints rotate-secret " + anEndpoint + " --keep-old   # both sign for a day\n" +
			"  ringback endpoints rotate-secret " + anEndpoint + " --json | jq -r .signing_secret",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: oneOf(endpointIDs),
	}, func(ctx context.Context, s *session) error {
		if err := wantKind("endpoint", s.args); err != nil {
			return err
		}
		answer, err := s.client.postOnce(ctx, endpointPath(s.args[0])+"/rotate_secret", map[string]any{"keep_old_secret_active_for_24_hours": keep})
		if err != nil {
			return err
		}
		return s.print.object(answer, s.told("%s  %s", "id", "signing_secret"))
	})
	cmd.Flags().BoolVar(&keep, "keep-old", false, "the old secret signs beside it for 24 hours")
	return cmd
}

// replay is one `endpoints replay`.
type replay struct {
	event string
	since string
	until string
	all   bool
}

func newEndpointsReplayCommand() *cobra.Command {
	r := &replay{}
	cmd := clientCommand(&cobra.Command{
		Use:   "replay ID --since TIME | --event EVENT_ID",
		Short: "Send an endpoint events of the past",
		Long: `Send an endpoint one event of the past, whatever it subscribes to, or all since a
time that it subscribes to and never got; --all sends those that arrived too.`,
		Example: "  ringback endpoints replay " + anEndpoint + " --since 2d\n" +
			"  ringback endpoints replay " + anEndpoint + " --event evt_01J9Z3NDEKTSV4RRFFQ69G5FAV",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: oneOf(endpointIDs),
	}, r.run)
	flags := cmd.Flags()
	flags.StringVar(&r.event, "event", "", "`ID` of one event to send")
	flags.StringVar(&r.since, "since", "", "`TIME` of the first events to send: 2d ago, or 2026-01-25T00:00:00Z")
	flags.StringVar(&r.until, "until", "", "`TIME` up to which (default: now)")
	flags.BoolVar(&r.all, "all", false, "also those that arrived")
	completeFlag(cmd, "event", eventIDs)
	return cmd
}

func (r *replay) run(ctx context.Context, s *session) error {
	if err := wantKind("endpoint", s.args); err != nil {
		return err
	}
	body, err := r.body()
	if err != nil {
		return err
	}
	answer, err := s.client.postOnce(ctx, endpointPath(s.args[0])+"/replay", body)
	if err != nil {
		return err
	}
	return s.print.object(answer, func(o gjson.Result) error {
		if r.event != "" {
			return s.told("%s  %s", "id", "status")(o)
		}
		return s.print.printf("%s events are sent again; see ringback deliveries list --endpoint %s\n", grouped(int(o.Get("replayed").Int())), s.args[0])
	})
}

func (r *replay) body() (map[string]any, error) {
	switch {
	case r.event == "" && r.since == "":
		return nil, usagef("say what to send again: --since TIME, or --event EVENT_ID")
	case r.event != "" && (r.since != "" || r.until != "" || r.all):
		return nil, usagef("--event is one event: leave out --since, --until and --all")
	case r.event != "":
		return map[string]any{"event_id": r.event}, nil
	}
	now := time.Now()
	since, err := readPast("since", r.since, now)
	if err != nil {
		return nil, err
	}
	body := map[string]any{"since": since, "missing": !r.all}
	until, err := readPast("until", r.until, now)
	if until != "" {
		body["until"] = until
	}
	return body, err
}
