package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	"github.com/tidwall/gjson"
)

// deliveryWait bounds what --watch waits for the outcome of an attempt that
// was asked for: its time-out and some room.
const deliveryWait = 45 * time.Second

func newDeliveriesRetryCommand() *cobra.Command {
	var watched bool
	cmd := clientCommand(&cobra.Command{
		Use:   "retry ID...",
		Short: "Send deliveries again now, whatever became of them",
		Long: `Send deliveries again now, in the place of what is scheduled. One that had ended
begins its schedule anew. --watch waits for the attempt's outcome and says it.` + exitHelp(exitNotFound, exitEnded),
		Example: "  ringback deliveries retry " + aDelivery + " --watch\n" +
			"  ringback deliveries retry $(ringback deliveries list --status failed --json | jq -r .id)",
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: completeArgs(deliveryIDs),
	}, func(ctx context.Context, s *session) error {
		if err := wantKind("delivery", s.args); err != nil {
			return err
		}
		return eachOf(ctx, s, func(id string) error { return s.retryDelivery(ctx, id, watched) })
	})
	cmd.Flags().BoolVar(&watched, "watch", false, "wait for the outcome; exit 0 only if it was delivered")
	return cmd
}

func (s *session) retryDelivery(ctx context.Context, id string, watched bool) error {
	path := deliveryPath(id)
	if !watched {
		return s.act(ctx, path+"/retry", nil, s.told("%s  %s", "id", "status"))
	}
	before, err := s.client.Object(ctx, path)
	if err != nil {
		return err
	}
	if _, err := s.client.post(ctx, path+"/retry", nil); err != nil {
		return err
	}
	after, err := s.outcome(ctx, path, gjson.GetBytes(before, "attempts.#").Int())
	if err != nil {
		return err
	}
	return s.tellOutcome(after)
}

// outcome waits for an attempt beyond those that there were.
func (s *session) outcome(ctx context.Context, path string, attempts int64) ([]byte, error) {
	for deadline := time.Now().Add(deliveryWait); ; {
		object, err := s.client.Object(ctx, path)
		if err != nil {
			return nil, err
		}
		d := gjson.ParseBytes(object)
		if d.Get("attempts.#").Int() > attempts && d.Get("status").String() != "sending" || time.Now().After(deadline) {
			return object, nil
		}
		if !interruptible(ctx, pollPause) {
			return nil, context.Cause(ctx)
		}
	}
}

// tellOutcome says how it went; anything but delivered is an error.
func (s *session) tellOutcome(object []byte) error {
	d := gjson.ParseBytes(object)
	err := s.print.object(object, func(gjson.Result) error {
		return s.print.printf("%s  %s  %s\n", d.Get("id"), d.Get("status"), lastAnswer(d))
	})
	if err != nil || d.Get("status").String() == "delivered" {
		return err
	}
	attempts := d.Get("attempts").Array()
	text := "no attempt was made in time; its receiver may be held back"
	if len(attempts) > 0 {
		last := attempts[len(attempts)-1]
		text = adviceFor(last.Get("error_class").String(), int(last.Get("status_code").Int()))
	}
	return endedf("%s was not delivered: %s", d.Get("id"), text)
}

func newDeliveriesCancelCommand() *cobra.Command {
	return clientCommand(&cobra.Command{
		Use:   "cancel ID...",
		Short: "End deliveries that wait",
		Example: "  ringback deliveries cancel " + aDelivery + "\n" +
			"  ringback deliveries cancel $(ringback deliveries list --status waiting --endpoint " + anEndpoint + " --json | jq -r .id)",
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: completeArgs(deliveriesIn("status=waiting")),
	}, func(ctx context.Context, s *session) error {
		if err := wantKind("delivery", s.args); err != nil {
			return err
		}
		return eachOf(ctx, s, func(id string) error {
			return s.act(ctx, deliveryPath(id)+"/cancel", nil, s.told("%s  %s", "id", "status"))
		})
	})
}

func newDeliveriesRetryAllCommand() *cobra.Command {
	f := &deliveryFilter{}
	cmd := clientCommand(&cobra.Command{
		Use:   "retry-all",
		Short: "Send again all deliveries that the flags pick",
		Example: "  ringback deliveries retry-all --never-arrived --since 2d\n" +
			"  ringback deliveries retry-all --status failed --endpoint " + anEndpoint,
		Args: cobra.NoArgs,
	}, func(ctx context.Context, s *session) error {
		fields, err := f.fields(time.Now())
		if err != nil {
			return err
		}
		body := map[string]any{}
		for name, value := range fields {
			body[name] = value
		}
		if f.neverArrived {
			body["never_arrived"] = true
		}
		if len(body) == 0 {
			return usagef("say which deliveries, as --never-arrived; ringback deliveries list takes the same flags")
		}
		answer, err := s.client.postOnce(ctx, "/v1/deliveries/retry", body)
		if err != nil {
			return err
		}
		return s.print.object(answer, s.told("%s deliveries are sent again", "retried"))
	})
	f.addFlags(cmd)
	return cmd
}
