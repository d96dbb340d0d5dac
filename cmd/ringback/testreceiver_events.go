package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/ringback/ringback/callbacks/signature"
	"github.com/ringback/ringback/jobs"
)

// trialEvent is an event of a job that does not exist. Its body is written by
// hand, so that the bytes are what a case needs.
type trialEvent struct {
	id       string
	kind     string // the type, as batch.completed
	subject  string
	sequence int
	top      string // further members of the body, each with a comma behind
	object   string // data.object, JSON
}

func (e trialEvent) body(now time.Time) []byte {
	return fmt.Appendf(nil, `{"id":%q,"object":"event","type":%q,"created":%d,"created_at":%d,"event_id":%q,"sequence":%d,`+
		`"cache_scope_to_invalidate":{"scope":"KEY","keys":[%q]},%s"data":{"id":%q,"object":%s}}`,
		e.id, e.kind, now.Unix(), now.Unix(), e.id, e.sequence, e.subject, e.top, e.subject, e.object)
}

func newBatchEvent(status string, sequence int, subject string) trialEvent {
	return trialEvent{
		id: jobs.NewID("evt_"), kind: "batch." + status, subject: subject, sequence: sequence,
		object: fmt.Sprintf(`{"id":%q,"object":"batch","endpoint":"/v1/chat/completions","errors":null,"input_file_id":"file-test",`+
			`"completion_window":"24h","status":%q,"output_file_id":"file-test-output","error_file_id":null,`+
			`"request_counts":{"total":120,"completed":120,"failed":0},"metadata":{"source":"ringback test-receiver"}}`, subject, status),
	}
}

func newGenerationEvent(output, top string) trialEvent {
	subject := jobs.NewID("gen_test_")
	return trialEvent{
		id: jobs.NewID("evt_"), kind: "generation.completed", subject: subject, sequence: 2,
		top: top + fmt.Sprintf(`"status":"completed","model":"sim-small","model_output":%s,`, output),
		object: fmt.Sprintf(`{"id":%q,"object":"generation","status":"completed","model":"sim-small","model_output":%s,`+
			`"usage":{"prompt_tokens":12,"completion_tokens":34,"total_tokens":46}}`, subject, output),
	}
}

// largeOutput makes a generation's body of about 250 KiB: it stands there
// twice.
func largeOutput() string { return `"` + strings.Repeat("0123456789abcde ", 125<<10/16) + `"` }

// oddOutput is JSON that changes when it is parsed and written anew: escapes,
// letters beyond ASCII, white space, and numbers beyond a double.
const oddOutput = `"Gr\u00fc\u00dfe, 世界 👋 \u2028 \/ <b>&amp;<\/b> e\u0301"`

const oddNumbers = `"numbers": {"big": 12345678901234567890123, "one": 1.0, "tiny": 1E-7, "beyond": 9007199254740993},`

// trialKit signs the cases' callbacks.
type trialKit struct {
	secret Secret
	other  Secret // what a forger has
	first  trialEvent
	body   []byte // the first event's, sent again as it is
}

func newTrialKit(secret Secret) *trialKit {
	first := newBatchEvent("completed", 2, newTrialBatch())
	return &trialKit{secret: secret, other: Secret(signature.NewSecret()), first: first, body: first.body(time.Now())}
}

func newTrialBatch() string { return jobs.NewID("batch_test_") }

// again is the first event, signed now.
func (k *trialKit) again() callbackCall {
	return signedCallback(k.secret, k.first.id, time.Now(), k.body)
}

func (k *trialKit) sign(e trialEvent) callbackCall {
	now := time.Now()
	return signedCallback(k.secret, e.id, now, e.body(now))
}

// fresh is a good callback of a job of its own, to be spoilt.
func (k *trialKit) fresh() callbackCall { return k.freshAt(0) }

func (k *trialKit) freshAt(away time.Duration) callbackCall {
	e, at := newBatchEvent("completed", 2, newTrialBatch()), time.Now().Add(away)
	return signedCallback(k.secret, e.id, at, e.body(at))
}
