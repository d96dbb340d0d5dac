package main

import (
	"context"
	"net/url"
	"time"

	"github.com/spf13/cobra"
	"github.com/tidwall/gjson"
)

const deliveriesHelp = `Deliveries: each is one event owed to one receiver, with every attempt to bring it
there, what came back, and the rule that chose what came next.`

// aDelivery stands in examples.
const aDelivery = "dlv_01J9Z3NDEKTSV4RRFFQ69G5FAV"

func newDeliveriesCommand() *cobra.Command {
	return group("deliveries", "See why callbacks did not arrive, and send them again", deliveriesHelp,
		"  ringback deliveries list --never-arrived\n"+
			"  ringback deliveries get "+aDelivery+"\n"+
			"  ringback deliveries retry "+aDelivery,
		newDeliveriesListCommand(), newDeliveriesGetCommand(), newDeliveriesRetryCommand(),
		newDeliveriesRetryAllCommand(), newDeliveriesCancelCommand())
}

func deliveryPath(id string) string { return "/v1/deliveries/" + url.PathEscape(id) }

// deliveryFilter picks deliveries, in a list and for a bulk retry alike.
type deliveryFilter struct {
	status       string
	endpoint     string
	event        string
	typ          string
	job          string
	since        string
	until        string
	neverArrived bool
}

func (f *deliveryFilter) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.status, "status", "", "only those in this `STATE`: waiting, sending, delivered, failed or cancelled")
	flags.StringVar(&f.endpoint, "endpoint", "", "only those to the endpoint with this `ID`")
	flags.StringVar(&f.event, "event", "", "only those of the event with this `ID`")
	flags.StringVar(&f.typ, "type", "", "only those of events of this `TYPE`, as batch.completed")
	flags.StringVar(&f.job, "job", "", "only those about the job with this `ID`")
	flags.StringVar(&f.since, "since", "", "only those made since this `TIME`: 2h ago, or 2026-01-25T00:00:00Z")
	flags.StringVar(&f.until, "until", "", "only those made until this `TIME`")
	flags.BoolVar(&f.neverArrived, "never-arrived", false, "only those that ended and were never accepted")
	completeFlag(cmd, "status", fixed("waiting", "sending", "delivered", "failed", "cancelled"))
	completeFlag(cmd, "endpoint", endpointIDs)
	completeFlag(cmd, "event", eventIDs)
	completeFlag(cmd, "type", eventTypes)
	completeFlag(cmd, "job", jobIDs)
}

// fields are the filter as the API names it, what is not given left out.
func (f *deliveryFilter) fields(now time.Time) (map[string]string, error) {
	since, err := readPast("since", f.since, now)
	if err != nil {
		return nil, err
	}
	until, err := readPast("until", f.until, now)
	if err != nil {
		return nil, err
	}
	fields := map[string]string{}
	for name, value := range map[string]string{
		"status": f.status, "endpoint_id": f.endpoint, "event_id": f.event, "event_type": f.typ, "job_id": f.job,
		"since": since, "until": until,
	} {
		if value != "" {
			fields[name] = value
		}
	}
	return fields, nil
}

func newDeliveriesListCommand() *cobra.Command {
	l, f := &listing{path: "/v1/deliveries"}, &deliveryFilter{}
	cmd := clientCommand(&cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List deliveries, the newest first",
		Example: `  ringback deliveries list --never-arrived --since 2d
  ringback deliveries list --job batch_01J9Z3NDEKTSV4RRFFQ69G5FAV
  ringback deliveries list --status failed --json | jq -r '[.id, .url, .reason] | @tsv'`,
		Args: cobra.NoArgs,
	}, func(ctx context.Context, s *session) error {
		fields, err := f.fields(time.Now())
		if err != nil {
			return err
		}
		for name, value := range fields {
			l.filter(name, value)
		}
		if f.neverArrived {
			l.filter("never_arrived", "true")
		}
		return s.list(ctx, *l, deliveryColumns(s.print), "no such deliveries")
	})
	l.addFlags(cmd, "a delivery")
	f.addFlags(cmd)
	completeFlag(cmd, "after", deliveryIDs)
	return cmd
}

func deliveryColumns(p *printer) []column {
	return []column{
		field("DELIVERY", "id"), field("EVENT", "event_type"), statusColumn(), field("ATTEMPTS", "attempts.#"),
		{title: "LAST ANSWER", cell: lastAnswer},
		{title: "NEXT", cell: p.nextAttempt},
		p.age("AGE", "created_at"), field("RECEIVER", "url"),
	}
}

// lastAnswer is what the last attempt met: 503, timeout, …
func lastAnswer(delivery gjson.Result) string {
	attempts := delivery.Get("attempts").Array()
	if len(attempts) == 0 {
		return ""
	}
	return answered(attempts[len(attempts)-1])
}

// answered is an attempt's status, or the class of its error.
func answered(attempt gjson.Result) string {
	if class := attempt.Get("error_class").String(); class != "" {
		return class
	}
	return attempt.Get("status_code").String()
}

func (p *printer) nextAttempt(delivery gjson.Result) string {
	if at := unix(delivery.Get("next_attempt_at")); !at.IsZero() {
		if at.Before(p.now) {
			return "now"
		}
		return distance(at, p.now)
	}
	return ""
}

func newDeliveriesGetCommand() *cobra.Command {
	return clientCommand(&cobra.Command{
		Use:   "get ID",
		Short: "Show each attempt, why it failed, what comes next and what to do",
		Long:  "Show a delivery: each attempt with its answer and timings, why it failed, what\ncomes next, and what to do." + exitHelp(exitNotFound),
		Example: "  ringback deliveries get " + aDelivery + "\n" +
			"  ringback deliveries get " + aDelivery + " --json | jq -r '.attempts[-1].response_snippet'",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: oneOf(deliveryIDs),
	}, func(ctx context.Context, s *session) error {
		if err := wantKind("delivery", s.args); err != nil {
			return err
		}
		kind, _ := kindOf(s.args[0])
		return s.show(ctx, kind, s.args[0])
	})
}
