package web

import (
	"encoding/json"

	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

// WebhookParser knows what a client may name as its receiver.
type WebhookParser interface {
	// Parse checks a submission's webhook field: an object or a URL. Its errors name the field that is wrong.
	Parse(raw json.RawMessage) (*jobs.Webhook, error)
}

// receiver is who a submission wants to be called, and what reads will show of it. Both are nil for nobody.
type receiver struct {
	webhook *jobs.Webhook
	shown   json.RawMessage
}

// readReceiver reads the fields webhook and webhook_ids.
func readReceiver(p WebhookParser, webhook, ids gjson.Result) (receiver, error) {
	if err := checkWebhookIDs(ids); err != nil || webhook.Type == gjson.Null {
		return receiver{}, err
	}
	w, err := p.Parse(json.RawMessage(webhook.Raw))
	if err != nil || w == nil {
		return receiver{}, err
	}
	return receiver{w, callbacks.Shown(w)}, nil
}

// checkWebhookIDs holds that no endpoint can be registered yet: any ID is unknown.
func checkWebhookIDs(ids gjson.Result) error {
	if ids.Type == gjson.Null {
		return nil
	}
	if !ids.IsArray() {
		return typeError("webhook_ids", "an array", ids)
	}
	all := ids.Array()
	if len(all) == 0 {
		return nil
	}
	if all[0].Type != gjson.String {
		return typeError("webhook_ids", "an array of strings", all[0])
	}
	return jobs.Errorf(jobs.CodeValue, "webhook_ids", "No webhook endpoint found with id '%s'. Name the receiver in 'webhook' instead.", all[0].Str)
}
