package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
	"github.com/tidwall/gjson"
)

const endpointsHelp = `Registered endpoints: receivers that get the events that they ask for, each with
its own secret, headers, time-out and schedule. Their URL, headers and secret are
read at each attempt, so mending an endpoint mends what waits for it.`

// anEndpoint stands in examples.
const anEndpoint = "6f1c2a9e-5f0b-4a55-9a3e-0d6c1f7b2e84"

func newEndpointsCommand() *cobra.Command {
	return group("endpoints", "Register receivers of callbacks, mend and test them", endpointsHelp,
		"  ringback endpoints add https://example.com/hook --name billing --types 'batch.*'\n"+
			"  ringback endpoints list\n"+
			"  ringback endpoints test "+anEndpoint,
		newEndpointsListCommand(), newEndpointsGetCommand(), newEndpointsAddCommand(), newEndpointsUpdateCommand(),
		newEndpointsDeleteCommand(), newEndpointsTestCommand(), newEndpointsRotateCommand(),
		newEndpointsSwitchCommand("enable", "Switch endpoints on, with a clean slate", true),
		newEndpointsSwitchCommand("disable", "Switch endpoints off; what waits for them is cancelled", false),
		newEndpointsReplayCommand())
}

func endpointPath(id string) string { return endpointKind.path + url.PathEscape(id) }

func newEndpointsListCommand() *cobra.Command {
	l := &listing{path: "/v1/webhook_endpoints"}
	cmd := clientCommand(&cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List endpoints and how they fare, the newest first",
		Example: "  ringback endpoints list\n  ringback endpoints list --json --limit 0 | jq -r 'select(.health.status == \"failing\") | .id'",
		Args:    cobra.NoArgs,
	}, func(ctx context.Context, s *session) error {
		return s.list(ctx, *l, endpointColumns(), "no endpoints; register one: ringback endpoints add --help")
	})
	l.addFlags(cmd, "an endpoint")
	completeFlag(cmd, "after", endpointIDs)
	return cmd
}

func endpointColumns() []column {
	state := column{title: "STATE", style: statusStyle, cell: func(e gjson.Result) string {
		switch {
		case e.Get("is_active").Bool():
			return "on"
		case e.Get("disabled_reason").String() != "":
			return "disabled"
		}
		return "off"
	}}
	health := field("HEALTH", "health.status")
	health.style = statusStyle
	return []column{
		field("ID", "id"), field("NAME", "name"), state, health, field("URL", "url"),
		{title: "EVENT TYPES", cell: func(e gjson.Result) string { return texts(e.Get("event_types")) }},
	}
}

// texts is an array of strings with commas between them; a long one is cut.
func texts(array gjson.Result) string {
	var parts []string
	for _, entry := range array.Array() {
		parts = append(parts, entry.String())
	}
	if more := len(parts) - 3; more > 1 {
		return strings.Join(parts[:3], ",") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(parts, ",")
}

func newEndpointsGetCommand() *cobra.Command {
	return clientCommand(&cobra.Command{
		Use:               "get ID",
		Short:             "Show an endpoint, its health and why it was switched off",
		Example:           "  ringback endpoints get " + anEndpoint + "\n  ringback endpoints get " + anEndpoint + " --json | jq .health",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: oneOf(endpointIDs),
	}, func(ctx context.Context, s *session) error {
		if err := wantKind("endpoint", s.args); err != nil {
			return err
		}
		return s.show(ctx, endpointKind, s.args[0])
	})
}

func newEndpointsDeleteCommand() *cobra.Command {
	return clientCommand(&cobra.Command{
		Use:   "delete ID...",
		Short: "Remove endpoints; what waits for them is cancelled",
		Example: "  ringback endpoints delete " + anEndpoint +
			"\n  ringback endpoints delete $(ringback endpoints list --json | jq -r 'select(.name == \"old\") | .id')",
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: completeArgs(endpointIDs),
	}, func(ctx context.Context, s *session) error { return s.deleteEach(ctx, endpointKind) })
}

// deleteEach removes objects of one kind.
func (s *session) deleteEach(ctx context.Context, kind idKind) error {
	if err := wantKind(kind.what, s.args); err != nil {
		return err
	}
	return eachOf(ctx, s, func(id string) error {
		answer, err := s.client.delete(ctx, kind.pathOf(id))
		if err != nil {
			return err
		}
		return s.print.object(answer, s.told("%s  deleted", "id"))
	})
}

func newEndpointsSwitchCommand(name, short string, active bool) *cobra.Command {
	return clientCommand(&cobra.Command{
		Use:               name + " ID...",
		Short:             short,
		Example:           "  ringback endpoints " + name + " " + anEndpoint + "\n  ringback endpoints " + name + " $(ringback endpoints list --json | jq -r .id)",
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: completeArgs(endpointIDs),
	}, func(ctx context.Context, s *session) error {
		if err := wantKind("endpoint", s.args); err != nil {
			return err
		}
		return eachOf(ctx, s, func(id string) error {
			return s.act(ctx, endpointPath(id), map[string]any{"is_active": active}, s.told("%s  "+name+"d", "id"))
		})
	})
}
