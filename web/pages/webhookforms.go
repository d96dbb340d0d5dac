package pages

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

// endpointForm is the dialog that makes or changes an endpoint, as it was filled in.
type endpointForm struct {
	Action, Back      string
	New               bool
	Name, URL         string
	ShownURL          string // of one that is changed: it stays unless another is given
	Description       string
	Timeout, Schedule string
	Models            string
	Groups            []typeGroup
	Headers           []headerRow
	Chosen, All       int
	Error, Param      string
}

type typeGroup struct {
	Word  string
	Types []typeTick
}

type typeTick struct {
	Type, Word string
	Chosen     bool
}

type headerRow struct{ Name, Value string }

// families order event types for a form.
var families = []struct{ prefix, word string }{
	{"batch.", "Batches"},
	{"fine_tuning.job.", "Fine-tuning"},
	{"generation.", "Generations"},
	{"response.", "Responses"},
	{"file.", "Files"},
	{"endpoint.", "Endpoints"},
	{"delivery.", "Deliveries"},
}

// newEndpointForm is the form of an endpoint; nil: of a new one, which gets what most want.
func newEndpointForm(e *callbacks.Endpoint) *endpointForm {
	if e == nil {
		f := &endpointForm{New: true, Action: "/webhooks", Back: "/webhooks", Headers: []headerRow{{}}}
		f.groups([]string{"batch.completed", "batch.failed", "batch.expired", "batch.cancelled", "fine_tuning.job.succeeded", "fine_tuning.job.failed", "generation.completed", "generation.failed"})
		return f
	}
	f := &endpointForm{
		Action: "/webhooks/" + e.ID, Back: "/webhooks/" + e.ID, Name: e.Name, URL: e.URL, ShownURL: e.URL, Description: e.Description, Models: strings.Join(e.Models, ", "),
	}
	if e.Timeout > 0 {
		f.Timeout = strconv.FormatFloat((time.Duration(e.Timeout) * time.Millisecond).Seconds(), 'f', -1, 64)
	}
	if len(e.Schedule) > 0 {
		f.Schedule = scheduleText(e.Schedule)
	}
	for _, name := range e.HeaderNames {
		f.Headers = append(f.Headers, headerRow{name, "***"})
	}
	f.groups(e.EventTypes)
	return f
}

func scheduleText(s callbacks.Schedule) string {
	text, _ := json.Marshal(s) // durations always encode
	var words []string
	_ = json.Unmarshal(text, &words)
	return strings.Join(words, ", ")
}

// groups ticks the types that filters ask for.
func (f *endpointForm) groups(filters []string) {
	for _, family := range families {
		g := typeGroup{Word: family.word}
		for _, t := range callbacks.EventTypes() {
			if !strings.HasPrefix(t, family.prefix) {
				continue
			}
			tick := typeTick{t, strings.ReplaceAll(strings.TrimPrefix(t, family.prefix), "_", " "), jobs.EventType(t).Wanted(filters) && len(filters) > 0}
			g.Types = append(g.Types, tick)
			f.All++
			if tick.Chosen {
				f.Chosen++
			}
		}
		f.Groups = append(f.Groups, g)
	}
}

// readEndpointForm reads what was filled in, to show it again where something is wrong.
func readEndpointForm(r *http.Request) *endpointForm {
	f := &endpointForm{
		Name: r.PostFormValue("name"), URL: strings.TrimSpace(r.PostFormValue("url")), Description: r.PostFormValue("description"),
		Timeout: strings.TrimSpace(r.PostFormValue("timeout")), Schedule: strings.TrimSpace(r.PostFormValue("schedule")),
		Models: r.PostFormValue("models"), ShownURL: r.PostFormValue("shown_url"),
	}
	f.Headers = headersOf(r)
	f.groups(r.PostForm["event"])
	if len(r.PostForm["event"]) == 0 {
		for i := range f.Groups {
			for j := range f.Groups[i].Types {
				f.Groups[i].Types[j].Chosen = false
			}
		}
	}
	return f
}

// headersOf reads the rows of headers.
func headersOf(r *http.Request) (rows []headerRow) {
	names, values := r.PostForm["header_name"], r.PostForm["header_value"]
	for i, name := range names {
		row := headerRow{Name: strings.TrimSpace(name)}
		if i < len(values) {
			row.Value = values[i]
		}
		if row.Name != "" || row.Value != "" {
			rows = append(rows, row)
		}
	}
	return rows
}

// body is the form as the API takes it.
func (f *endpointForm) body(events []string) map[string]any {
	body := map[string]any{"name": f.Name, "description": f.Description, "event_types": shortest(events)}
	if f.URL != f.ShownURL || f.ShownURL == "" {
		body["url"] = f.URL
	}
	headers := map[string]string{}
	for _, h := range f.Headers {
		headers[h.Name] = h.Value
	}
	body["headers"] = headers
	body["timeout"], body["schedule"], body["models"] = nil, nil, nil
	if f.Timeout != "" {
		body["timeout"] = f.Timeout
		if _, err := strconv.ParseFloat(f.Timeout, 64); err == nil {
			body["timeout"] = f.Timeout + "s"
		}
	}
	if words := listed(f.Schedule); len(words) > 0 {
		body["schedule"] = words
	}
	if words := listed(f.Models); len(words) > 0 {
		body["models"] = words
	}
	return body
}

// listed splits a text at its commas and spaces.
func listed(text string) []string {
	return strings.FieldsFunc(text, func(c rune) bool { return c == ',' || c == ' ' || c == '\n' })
}

// shortest says "all" as people do.
func shortest(events []string) []string {
	if len(events) == len(callbacks.EventTypes()) {
		return []string{"*"}
	}
	return slices.Compact(slices.Sorted(slices.Values(events)))
}

func (p *Pages) addWebhook(w http.ResponseWriter, r *http.Request) error {
	f := readEndpointForm(r)
	f.New, f.Action, f.Back = true, "/webhooks", "/webhooks"
	made, err := p.call(r, http.MethodPost, "/v1/webhook_endpoints", f.body(r.PostForm["event"]))
	if e, refused := refusal(err); refused {
		shown, err := p.webhookList(r.Context(), p.Project(r))
		if err != nil {
			return err
		}
		f.Error, f.Param, shown.Form = e.Message, e.field(), f
		return p.again(w, r, e.Status, "webhooks.html", "/webhooks?dialog=add", shown)
	}
	if err != nil {
		return err
	}
	id := gjson.GetBytes(made, "id").String()
	return p.withSecret(w, r, id, gjson.GetBytes(made, "signing_secret").String(), false)
}

// withSecret shows an endpoint with its new secret: the one time that it can be seen.
func (p *Pages) withSecret(w http.ResponseWriter, r *http.Request, id, secret string, rotated bool) error {
	shown, _, err := p.loadWebhook(r.Context(), jobs.Ref{ProjectID: p.Project(r), ID: id})
	if err != nil {
		return err
	}
	shown.Secret, shown.Rotated = secret, rotated
	w.Header().Set("Cache-Control", "no-store")
	return p.again(w, r, http.StatusOK, "webhook.html", "/webhooks/"+id, shown)
}

// again renders a page as the answer to a form. at is where the page stands: there a script follows what changes.
func (p *Pages) again(w http.ResponseWriter, r *http.Request, status int, file, at string, shown any) error {
	f, err := p.frame(r.Context(), r)
	if err != nil {
		return err
	}
	f.At = at
	return p.render(w, r, status, file, view{f, shown})
}

func (p *Pages) changeWebhook(w http.ResponseWriter, r *http.Request) error {
	f := readEndpointForm(r)
	f.Action, f.Back = endpointPath(r), endpointPath(r)
	_, err := p.call(r, http.MethodPost, endpointAPI(r), f.body(r.PostForm["event"]))
	if e, refused := refusal(err); refused {
		shown, _, err := p.loadWebhook(r.Context(), p.ref(r))
		if err != nil {
			return err
		}
		f.Error, f.Param, shown.Form, shown.Dialog = e.Message, e.field(), f, "edit"
		return p.again(w, r, e.Status, "webhook.html", endpointPath(r)+"?dialog=edit", shown)
	}
	if err != nil {
		return err
	}
	return done(w, r, endpointPath(r), "saved")
}

func (p *Pages) rotateSecret(w http.ResponseWriter, r *http.Request) error {
	made, err := p.call(r, http.MethodPost, endpointAPI(r)+"/rotate_secret", nil)
	if err != nil {
		return err
	}
	return p.withSecret(w, r, r.PathValue("id"), gjson.GetBytes(made, "signing_secret").String(), true)
}

func (p *Pages) switchWebhook(w http.ResponseWriter, r *http.Request) error {
	active := r.PostFormValue("active") == "true"
	if _, err := p.call(r, http.MethodPost, endpointAPI(r), map[string]any{"is_active": active}); err != nil {
		return err
	}
	return done(w, r, endpointPath(r), map[bool]string{true: "enabled", false: "disabled"}[active])
}

// deleteWebhook wants the name typed: what waits for the endpoint ends with it.
func (p *Pages) deleteWebhook(w http.ResponseWriter, r *http.Request) error {
	shown, _, err := p.loadWebhook(r.Context(), p.ref(r))
	if err != nil {
		return err
	}
	if strings.TrimSpace(r.PostFormValue("confirm")) != shown.Name {
		shown.Dialog, shown.WrongName = "delete", true
		return p.again(w, r, http.StatusBadRequest, "webhook.html", endpointPath(r)+"?dialog=delete", shown)
	}
	if _, err := p.call(r, http.MethodDelete, endpointAPI(r), nil); err != nil {
		return err
	}
	return done(w, r, "/webhooks", "deleted")
}

// testView is how a test fire went.
type testView struct {
	Type     string
	Badge    badge
	At       jobs.Time
	Took     string
	Phases   []phase
	Answer   string
	Would    string // what a real delivery would do
	Why      string
	Todo     string
	Endpoint string
}

func (p *Pages) testFire(w http.ResponseWriter, r *http.Request) error {
	typ := cmp.Or(r.PostFormValue("type"), string(callbacks.EventTest))
	body, err := p.call(r, http.MethodPost, endpointAPI(r)+"/test", map[string]any{"event_type": typ})
	if err != nil {
		return err
	}
	shown := testOf(body, typ)
	shown.At, shown.Endpoint = p.now(), endpointPath(r)
	if inPlace(r) {
		return p.part(w, r, http.StatusOK, "webhook.html", "test", shown)
	}
	return p.again(w, r, http.StatusOK, "test.html", "", shown)
}

func testOf(body []byte, typ string) testView {
	attempt := gjson.GetBytes(body, "attempt")
	a := callbacks.Attempt{
		StatusCode: int(attempt.Get("status_code").Int()), ErrorClass: callbacks.Class(attempt.Get("error_class").String()),
		DurationMS: attempt.Get("duration_ms").Int(), Timings: json.RawMessage(attempt.Get("timings").Raw),
	}
	v := testView{
		Type: typ, Took: milliseconds(a.DurationMS), Phases: phasesOf(&a), Answer: attempt.Get("response_snippet").String(),
		Badge: badge{"bad", "s-bad", answerTitle(&a)},
	}
	if gjson.GetBytes(body, "success").Bool() {
		v.Badge.Tone, v.Badge.Icon = "ok", "s-ok"
		v.Would, v.Why = "A real delivery would be done.", "Any 2xx answer counts. See in your receiver that the signature was checked: the body says “test”: true."
		return v
	}
	v.Would = "A real delivery would be tried again by the schedule."
	if a.StatusCode == http.StatusGone || a.ErrorClass == callbacks.ClassBlocked || a.ErrorClass == callbacks.ClassSelf || a.ErrorClass == callbacks.ClassClosed {
		v.Would = "A real delivery would end here."
	}
	v.Why, v.Todo = classWords[a.ErrorClass].why, todoWords(&a)
	if a.ErrorClass == "" {
		v.Why = statusWhy(a.StatusCode)
	}
	return v
}
