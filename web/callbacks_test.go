package web

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

// fakeCallbacks is Callbacks without a store: it keeps endpoints' bodies and remembers what it was asked.
type fakeCallbacks struct {
	mu         sync.Mutex
	endpoints  []endpoint
	used       map[string]kept // by Idempotency-Key
	deliveries []callbacks.DeliveryObject
	asked      []any // the arguments of the last call that is remembered
	fail       error // what calls about one delivery or a replay answer, if set
}

type endpoint struct {
	id   string
	body json.RawMessage
}

func (e endpoint) object() []byte { return e.secret("") }

// secret is the endpoint with a secret that was just made. What it was given stands in its description.
func (e endpoint) secret(secret string) []byte {
	return (&callbacks.Endpoint{ID: e.id, EventTypes: []string{"*"}, Description: string(e.body)}).Object(secret)
}

// owed is a delivery.
func owed(id string) callbacks.DeliveryObject {
	return callbacks.DeliveryObject{
		ID: id, Object: "delivery", EventType: "batch.completed", Status: callbacks.Delivered, Attempts: []callbacks.AttemptObject{},
	}
}

func newFakeCallbacks() *fakeCallbacks { return &fakeCallbacks{used: map[string]kept{}} }

func (f *fakeCallbacks) remember(asked ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = asked
}

func (f *fakeCallbacks) last() []any {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked
}

func (f *fakeCallbacks) setFail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = err
}

func (f *fakeCallbacks) Parse(raw json.RawMessage) (*jobs.Webhook, error) {
	w := jobs.Webhook{Method: "POST"}
	if json.Unmarshal(raw, &w.URL) == nil {
		return &w, nil
	}
	if err := json.Unmarshal(raw, &w); err != nil || !strings.HasPrefix(w.URL, "https://") {
		return nil, jobs.Errorf(jobs.CodeValue, "webhook.url", "Invalid value for 'webhook.url'.")
	}
	return &w, nil
}

func (f *fakeCallbacks) CreateEndpoint(_ context.Context, _ string, body json.RawMessage, idem *jobs.Idempotency) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e := endpoint{fmt.Sprintf("ep-%d", len(f.endpoints)+1), body}
	if idem != nil {
		switch old, used := f.used[idem.Key]; {
		case used && bytes.Equal(old.hash, idem.Hash):
			return nil, &jobs.Replay{Answer: old.answer}
		case used:
			return nil, jobs.Errorf(jobs.CodeKeyReused, "Idempotency-Key", "Another request has used this key.")
		}
		f.used[idem.Key] = kept{idem.Hash, e.secret("whsec_new")}
	}
	f.endpoints = append(f.endpoints, e)
	return e.secret("whsec_new"), nil
}

func (f *fakeCallbacks) find(ref jobs.Ref) (int, error) {
	at := slices.IndexFunc(f.endpoints, func(e endpoint) bool { return e.id == ref.ID && ref.ProjectID == jobs.DefaultProject })
	if at < 0 {
		return at, jobs.NotFound("no endpoint")
	}
	return at, nil
}

func (f *fakeCallbacks) Endpoint(_ context.Context, ref jobs.Ref) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at, err := f.find(ref)
	if err != nil {
		return nil, err
	}
	return f.endpoints[at].object(), nil
}

func (f *fakeCallbacks) Endpoints(_ context.Context, _, after string, limit int) ([][]byte, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	newest := slices.Clone(f.endpoints)
	slices.Reverse(newest)
	page, more, err := pageOf(newest, after, limit, func(e endpoint) string { return e.id })
	objects := make([][]byte, len(page))
	for i := range page {
		objects[i] = page[i].object()
	}
	return objects, more, err
}

func (f *fakeCallbacks) UpdateEndpoint(_ context.Context, ref jobs.Ref, body json.RawMessage) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at, err := f.find(ref)
	if err != nil {
		return nil, err
	}
	f.endpoints[at].body = body
	return f.endpoints[at].object(), nil
}

func (f *fakeCallbacks) DeleteEndpoint(_ context.Context, ref jobs.Ref) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	at, err := f.find(ref)
	if err != nil {
		return err
	}
	f.endpoints = slices.Delete(f.endpoints, at, at+1)
	return nil
}

func (f *fakeCallbacks) RotateEndpointSecret(_ context.Context, ref jobs.Ref, keep bool) ([]byte, error) {
	f.remember(ref, keep)
	f.mu.Lock()
	defer f.mu.Unlock()
	at, err := f.find(ref)
	if err != nil {
		return nil, err
	}
	return f.endpoints[at].secret("whsec_rotated"), nil
}

func (f *fakeCallbacks) TestEndpoint(_ context.Context, ref jobs.Ref, typ jobs.EventType) (callbacks.TestResult, error) {
	f.remember(ref, typ)
	f.mu.Lock()
	defer f.mu.Unlock()
	_, err := f.find(ref)
	typ = cmp.Or(typ, callbacks.EventTest)
	return callbacks.TestResult{Object: "webhook_endpoint.test", EndpointID: ref.ID, EventType: typ, StatusCode: 204, Success: true}, err
}

func (f *fakeCallbacks) JobDeliveries(context.Context, jobs.Ref) ([]callbacks.DeliveryObject, error) {
	return f.deliveries, nil
}

func (f *fakeCallbacks) Deliveries(_ context.Context, q callbacks.DeliveryQuery) ([]callbacks.DeliveryObject, bool, error) {
	f.remember(q)
	return pageOf(f.deliveries, q.After, q.Limit, func(d callbacks.DeliveryObject) string { return d.ID })
}

func (f *fakeCallbacks) delivery(asked string, ref jobs.Ref) (callbacks.DeliveryObject, error) {
	f.remember(asked, ref)
	for _, d := range f.deliveries {
		if d.ID == ref.ID && ref.ProjectID == jobs.DefaultProject {
			return d, f.fail
		}
	}
	return callbacks.DeliveryObject{}, jobs.NotFound("no delivery")
}

func (f *fakeCallbacks) Delivery(_ context.Context, ref jobs.Ref) (callbacks.DeliveryObject, error) {
	return f.delivery("get", ref)
}

func (f *fakeCallbacks) RetryDelivery(_ context.Context, ref jobs.Ref) (callbacks.DeliveryObject, error) {
	return f.delivery("retry", ref)
}

func (f *fakeCallbacks) CancelDelivery(_ context.Context, ref jobs.Ref) (callbacks.DeliveryObject, error) {
	return f.delivery("cancel", ref)
}

func (f *fakeCallbacks) RetryDeliveries(_ context.Context, filter callbacks.DeliveryFilter) (int, error) {
	f.remember(filter)
	return 7, nil
}

func (f *fakeCallbacks) Replay(_ context.Context, ref jobs.Ref, event string) (callbacks.DeliveryObject, error) {
	f.remember(ref, event)
	d := owed("dlv_again")
	d.EventID = event
	return d, f.fail
}

func (f *fakeCallbacks) ReplaySince(_ context.Context, ref jobs.Ref, q callbacks.ReplayQuery) (int, error) {
	f.remember(ref, q)
	return 3, f.fail
}

func (f *fakeCallbacks) Secret(context.Context, string) (string, error) { return "whsec_c2VjcmV0", nil }

func (f *fakeCallbacks) RotateSecret(_ context.Context, project string, keep bool) (string, error) {
	f.remember(project, keep)
	return "whsec_bmV3", nil
}

func (f *fakeCallbacks) PublicKeys(_ context.Context, project string) (json.RawMessage, error) {
	if project != jobs.DefaultProject && project != "other" {
		return nil, jobs.NotFound("no project")
	}
	return fmt.Appendf(nil, `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"eA","use":"sig","alg":"EdDSA","kid":%q}]}`, project), nil
}
