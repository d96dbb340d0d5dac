package main

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/callbacks"
)

// completeWithin bounds what a press of the tab key waits for. A server that
// does not answer by then has nothing to suggest, and nobody is told.
const completeWithin = time.Second

// suggested is how many objects are asked for.
const suggested = "limit=100"

const noFiles = cobra.ShellCompDirectiveNoFileComp

// fixed suggests words.
func fixed(words ...string) cobra.CompletionFunc {
	return cobra.FixedCompletions(words, noFiles)
}

// completeFlag says what a flag's value may be.
func completeFlag(cmd *cobra.Command, flag string, suggest cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, suggest); err != nil {
		panic(err) // the command has no such flag
	}
}

// oneOf suggests for the first argument alone.
func oneOf(suggest cobra.CompletionFunc) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, noFiles
		}
		return suggest(cmd, args, begun)
	}
}

// completeArgs leaves out what stands on the command line already.
func completeArgs(suggest cobra.CompletionFunc) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		found, directive := suggest(cmd, args, begun)
		return slices.DeleteFunc(found, func(c cobra.Completion) bool {
			id, _, _ := strings.Cut(c, "\t")
			return slices.Contains(args, id)
		}), directive
	}
}

// fromServer suggests the IDs in a list of the server's, each with some of its
// fields.
func fromServer(path string, fields ...string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		var found []cobra.Completion
		for _, object := range askForCompletion(cmd, path) {
			o := gjson.ParseBytes(object)
			if id := o.Get("id").String(); strings.HasPrefix(id, begun) {
				found = append(found, cobra.CompletionWithDesc(id, describe(o, fields)))
			}
		}
		return found, noFiles
	}
}

func describe(object gjson.Result, fields []string) string {
	var words []string
	for _, field := range fields {
		if text := clean(object.Get(field).String()); text != "" {
			words = append(words, text)
		}
	}
	return strings.Join(words, " ")
}

// askForCompletion reads a list, once and quickly or not at all.
func askForCompletion(cmd *cobra.Command, path string) []json.RawMessage {
	server, _ := cmd.Flags().GetString("server")
	key, _ := cmd.Flags().GetString("key")
	client, err := connectTo(server, key)
	if err != nil {
		return nil
	}
	defer client.Close()
	client.tries = 1
	parent := cmd.Context()
	if parent == nil {
		parent = context.Background()
	}
	ctx, cancel := context.WithTimeout(parent, completeWithin)
	defer cancel()
	var list struct {
		Data []json.RawMessage `json:"data"`
	}
	if client.get(ctx, path, &list) != nil {
		return nil
	}
	return list.Data
}

func jobsIn(query string) cobra.CompletionFunc {
	return fromServer("/v1/jobs?"+suggested+"&"+query, "kind", "status", "metadata.name")
}

func deliveriesIn(query string) cobra.CompletionFunc {
	return fromServer("/v1/deliveries?"+suggested+"&"+query, "status", "event_type", "url")
}

var (
	jobIDs      = jobsIn("")
	deliveryIDs = deliveriesIn("")
	endpointIDs = fromServer("/v1/webhook_endpoints?"+suggested, "name", "url")
	fileIDs     = fromServer("/v1/files?"+suggested, "filename", "purpose")
	eventIDs    = fromServer("/v1/events?"+suggested, "type", "data.id")
	models      = fromServer("/v1/models", "owned_by")
)

// unfinishedIDs suggests jobs that have not ended.
func unfinishedIDs(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	found, directive := completeArgs(jobIDs)(cmd, args, begun)
	return slices.DeleteFunc(found, func(c cobra.Completion) bool {
		return slices.ContainsFunc(strings.Fields(c), func(word string) bool { return Job{Status: word}.Ended() })
	}), directive
}

// anyIDs suggests objects of the kind that the ID's beginning tells, jobs as
// long as it tells none.
func anyIDs(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	for prefix, suggest := range map[string]cobra.CompletionFunc{"file-": fileIDs, "dlv_": deliveryIDs, "evt_": eventIDs} {
		if strings.HasPrefix(begun, prefix) {
			return suggest(cmd, args, begun)
		}
	}
	found, directive := jobIDs(cmd, args, begun)
	if len(found) == 0 && begun != "" {
		return endpointIDs(cmd, args, begun)
	}
	return found, directive
}

// eventTypes suggests types and families, behind a comma too.
func eventTypes(_ *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	done := begun[:strings.LastIndexByte(begun, ',')+1]
	var found []cobra.Completion
	for _, typ := range append([]string{"*", "batch.*", "generation.*", "response.*", "fine_tuning.job.*", "file.*"}, callbacks.EventTypes()...) {
		found = append(found, done+typ)
	}
	return found, noFiles | cobra.ShellCompDirectiveNoSpace
}
