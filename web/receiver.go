package web

import (
	"encoding/json"
	"slices"

	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

// WebhookParser knows what a client may name as its receivers.
type WebhookParser interface {
	// Parse checks a submission's webhook field: an object or a URL. Its errors name the field that is wrong.
	Parse(raw json.RawMessage) (*jobs.Webhook, error)
}

// receiver is who a submission wants to be called, and what reads will show of it. All are nil for nobody.
type receiver struct {
	webhook *jobs.Webhook
	shown   json.RawMessage
	ids     []string // of registered endpoints; whether they exist is asked where the job is kept
}

// readReceiver reads the fields webhook and webhook_ids.
func readReceiver(p WebhookParser, webhook, ids gjson.Result) (r receiver, err error) {
	if webhook.Type != gjson.Null {
		if r.webhook, err = p.Parse(json.RawMessage(webhook.Raw)); err != nil {
			return receiver{}, err
		}
		r.shown = callbacks.Shown(r.webhook)
	}
	r.ids, err = readWebhookIDs(ids)
	return r, err
}

// mostWebhookIDs bounds the deliveries that one event of a job can owe to endpoints it names.
const mostWebhookIDs = 32

// readWebhookIDs reads a list of IDs, or one ID. One that is named twice counts once.
func readWebhookIDs(v gjson.Result) ([]string, error) {
	const name = "webhook_ids"
	if v.Type == gjson.Null {
		return nil, nil
	}
	all := []gjson.Result{v}
	if v.IsArray() {
		all = v.Array()
	}
	if len(all) > mostWebhookIDs {
		return nil, jobs.Errorf(codeLongArray, name, "Invalid '%s': array too long. Expected an array with maximum length %d, but got an array with length %d instead.", name, mostWebhookIDs, len(all))
	}
	var ids []string
	for _, entry := range all {
		if entry.Type != gjson.String {
			return nil, typeError(name, "an array of strings", entry)
		}
		id, err := readText(name, entry)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}
