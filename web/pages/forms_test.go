package pages

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

// TestWhatFormsAskTheAPI: each button's request, and where the browser goes after it.
func TestWhatFormsAskTheAPI(t *testing.T) {
	t.Parallel()
	hook := "/webhooks/" + endpointID
	every := callbacks.EventTypes()
	for name, tc := range map[string]struct {
		path   string
		fields url.Values
		want   ask // header left out
		to     string
	}{
		"cancel":           {"/jobs/" + batchID + "/cancel", nil, ask{"POST", "/v1/jobs/" + batchID + "/cancel", "", nil}, "/jobs/" + batchID + "?done=cancelled"},
		"cancel of any ID": {"/jobs/a%2Fb%3Fc/cancel", nil, ask{"POST", "/v1/jobs/a%2Fb%3Fc/cancel", "", nil}, "/jobs/a%2Fb%3Fc?done=cancelled"},
		"pause":            {"/jobs/" + tuningID + "/pause", nil, ask{"POST", "/v1/fine_tuning/jobs/" + tuningID + "/pause", "", nil}, "/jobs/" + tuningID + "?done=paused"},
		"resume":           {"/jobs/" + tuningID + "/resume", nil, ask{"POST", "/v1/fine_tuning/jobs/" + tuningID + "/resume", "", nil}, "/jobs/" + tuningID + "?done=resumed"},
		"retry of lines":   {"/jobs/batch_failed/retry", nil, ask{"POST", "/v1/batches/batch_failed/retry", `{"webhook_ids":["` + endpointID + `"]}`, nil}, "/jobs/new_1?done=submitted"},
		"send again":       {"/deliveries/dlv_1/retry", nil, ask{"POST", "/v1/deliveries/dlv_1/retry", "", nil}, "/deliveries/dlv_1?done=retried"},
		"send again, back": {"/deliveries/dlv_1/retry", url.Values{"back": {"/jobs/x?a=b"}}, ask{"POST", "/v1/deliveries/dlv_1/retry", "", nil}, "/jobs/x?a=b&done=retried"},
		"stop sending":     {"/deliveries/dlv_1/cancel", nil, ask{"POST", "/v1/deliveries/dlv_1/cancel", "", nil}, "/deliveries/dlv_1?done=given-up"},
		"all again":        {"/deliveries/retry", url.Values{"all": {"never_arrived"}}, ask{"POST", "/v1/deliveries/retry", `{"never_arrived":true}`, nil}, "/deliveries?state=waiting&done=retried"},
		"all of one again": {"/deliveries/retry", url.Values{"all": {"never_arrived"}, "endpoint": {endpointID}}, ask{"POST", "/v1/deliveries/retry", `{"never_arrived":true,"endpoint_id":"` + endpointID + `"}`, nil}, "/deliveries?state=waiting&done=retried"},
		"those ticked":     {"/deliveries/retry", url.Values{"id": {"dlv_1", "dlv_2"}}, ask{"POST", "/v1/deliveries/dlv_2/retry", "", nil}, "/deliveries?done=retried"},
		"delete a file":    {"/files/" + inputID + "/delete", nil, ask{"DELETE", "/v1/files/" + inputID, "", nil}, "/files?done=deleted"},
		"switch off":       {hook + "/active", url.Values{"active": {"false"}}, ask{"POST", "/v1/webhook_endpoints/" + endpointID, `{"is_active":false}`, nil}, hook + "?done=disabled"},
		"switch on":        {hook + "/active", url.Values{"active": {"true"}}, ask{"POST", "/v1/webhook_endpoints/" + endpointID, `{"is_active":true}`, nil}, hook + "?done=enabled"},
		"delete":           {hook + "/delete", url.Values{"confirm": {" Loader "}}, ask{"DELETE", "/v1/webhook_endpoints/" + endpointID, "", nil}, "/webhooks?done=deleted"},
		"change nothing of the URL": {
			hook,
			url.Values{"name": {"n"}, "url": {"https://a.example/?x=***"}, "shown_url": {"https://a.example/?x=***"}, "event": {"batch.failed", "batch.failed", "batch.completed"}},
			ask{"POST", "/v1/webhook_endpoints/" + endpointID, `{"name":"n","description":"","event_types":["batch.completed","batch.failed"],"headers":{},"timeout":null,"schedule":null,"models":null}`, nil},
			hook + "?done=saved",
		},
		"change all": {
			hook,
			url.Values{
				"name": {"n"}, "url": {" https://b.example "}, "shown_url": {"https://a.example"}, "description": {"d"}, "event": every, "timeout": {"2.5"}, "schedule": {"0s, 5m 1h"}, "models": {"gpt-*, b"},
				"header_name": {"X-A", "", " X-B "}, "header_value": {"1", "", "***"},
			},
			ask{"POST", "/v1/webhook_endpoints/" + endpointID, `{"name":"n","url":"https://b.example","description":"d","event_types":["*"],"headers":{"X-A":"1","X-B":"***"},"timeout":"2.5s","schedule":["0s","5m","1h"],"models":["gpt-*","b"]}`, nil},
			hook + "?done=saved",
		},
		"a batch": {
			"/new",
			url.Values{"kind": {"batch"}, "file_id": {inputID}, "path": {"/v1/embeddings"}, "window": {" 2h "}, "name": {"n"}, "priority": {"high"}, "webhook_url": {"https://a.example"}, "header_name": {"X-A"}, "header_value": {"1"}, "model": {"left out"}},
			ask{"POST", "/v1/batches", `{"input_file_id":"` + inputID + `","endpoint":"/v1/embeddings","completion_window":"2h","metadata":{"name":"n"},"priority":"high","webhook":{"url":"https://a.example","headers":{"X-A":"1"}}}`, nil},
			"/jobs/new_1?done=submitted",
		},
		"a fine-tuning": {
			"/new",
			url.Values{"kind": {"fine_tuning"}, "file_id": {examplesID}, "model": {"m"}, "suffix": {"s"}, "priority": {"normal"}},
			ask{"POST", "/v1/fine_tuning/jobs", `{"model":"m","training_file":"` + examplesID + `","suffix":"s"}`, nil},
			"/jobs/new_1?done=submitted",
		},
		"a generation": {
			"/new",
			url.Values{"kind": {"generation"}, "model": {"m"}, "prompt": {" Why?\r\n<b>"}, "webhook_url": {"https://a.example"}},
			ask{"POST", "/v1/generate", `{"model":"m","input":" Why?\r\n<b>","webhook":{"url":"https://a.example"}}`, nil},
			"/jobs/new_1?done=submitted",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, script := range []bool{false, true} {
				f := world("Report")
				f.endpoints[0].Name = "Loader"
				d := open(t, f)
				d.api.answer = `{"id":"new_1"}`
				headers := []string{"Cookie", "ringback_session=x", "Sec-Fetch-Site", "same-origin", "X-Other", "y"}
				if script {
					headers = append(headers, "HX-Request", "true")
				}
				s := d.post(tc.path, tc.fields, headers...)
				got := d.api.last(t)
				require.Equal(t, tc.want.method+" "+tc.want.path, got.method+" "+got.path)
				if tc.want.body == "" {
					require.Empty(t, got.body)
				} else {
					require.JSONEq(t, tc.want.body, got.body)
					require.Equal(t, "application/json", got.header.Get("Content-Type"))
				}
				require.Equal(t, "ringback_session=x", got.header.Get("Cookie"), "with the authority of who sent the form")
				require.Empty(t, got.header.Get("X-Other"))
				if script {
					require.Equal(t, http.StatusNoContent, s.Code)
					require.Equal(t, tc.to, s.Header().Get("HX-Redirect"))
				} else {
					require.Equal(t, http.StatusSeeOther, s.Code, s.Body.String())
					require.Equal(t, tc.to, s.Header().Get("Location"))
				}
			}
		})
	}
}

// TestEachNoteIsSaid: where a form leads to, the outcome is told.
func TestEachNoteIsSaid(t *testing.T) {
	t.Parallel()
	d := open(t, &facts{})
	for key, text := range noted {
		require.Contains(t, words(having(d.get("/jobs?done="+key).doc, "id", "toasts")[0]), text)
	}
	require.Empty(t, words(having(d.get("/jobs?done=%3Cscript%3E").doc, "id", "toasts")[0]))
}

func TestRefusalsStandBesideTheirField(t *testing.T) {
	t.Parallel()
	hook := "/webhooks/" + endpointID
	typed := url.Values{
		"name": {"typed name"}, "url": {"https://typed.example/"}, "description": {"typed d"}, "timeout": {"99"}, "schedule": {"1x"}, "models": {"typed-*"},
		"header_name": {"X-Typed"}, "header_value": {"typed value"}, "event": {"batch.failed"},
	}
	job := url.Values{
		"kind": {"generation"}, "model": {"typed-model"}, "prompt": {"typed <prompt>"}, "name": {"typed name"}, "webhook_url": {"https://typed.example/"}, "window": {"3h"}, "suffix": {"sfx"},
		"header_name": {"X-Typed"}, "header_value": {"typed value"}, "file_id": {inputID}, "key": {"form_1"},
	}
	for name, tc := range map[string]struct {
		path, param, beside string
		fields              url.Values
	}{
		"a URL":          {"/webhooks", "url", "url", typed},
		"a name":         {hook, "name", "name", typed},
		"a header":       {hook, "headers.X-Typed", "header_name", typed},
		"a timeout":      {hook, "timeout", "timeout", typed},
		"a schedule":     {hook, "schedule[0]", "schedule", typed},
		"models":         {hook, "models", "models", typed},
		"types":          {hook, "event_types", "event", typed},
		"something else": {hook, "what", "", typed},
		"a model":        {"/new", "model", "model", job},
		"a webhook":      {"/new", "webhook.url", "webhook_url", job},
		"a prompt":       {"/new", "input", "prompt", job},
		"a file":         {"/new", "input_file_id", "file", job},
		"another field":  {"/new", "metadata", "", job},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := full(t, "Report")
			d.api.refuse(http.StatusBadRequest, "It is <wrong>.", tc.param)
			s := d.post(tc.path, tc.fields)
			require.Equal(t, http.StatusBadRequest, s.Code)
			ids(t, s.doc, tc.path)
			labels(t, s.doc, tc.path, true)
			require.Contains(t, words(s.doc), "It is <wrong>.")
			for field, values := range tc.fields {
				if field == "event" || field == "kind" || field == "file_id" || field == "key" {
					continue
				}
				require.Equal(t, values[0], s.field(t, field), "what was typed stays")
			}
			if tc.beside == "" {
				require.Contains(t, s.Body.String(), `class="notice bad"`)
				return
			}
			var inField bool
			for p := having(s.doc, "name", tc.beside)[0]; p != nil && !inField; p = p.Parent {
				inField = strings.HasPrefix(value(p, "class"), "field") && strings.Contains(words(p), "It is <wrong>.")
			}
			require.True(t, inField, "the refusal stands beside its field")
		})
	}
}

func TestABatchWithoutAFileIsToldSo(t *testing.T) {
	t.Parallel()
	d := full(t, "Report")
	d.api.refuse(http.StatusNotFound, "No such File object: file-…", "input_file_id")
	s := d.post("/new", url.Values{"kind": {"batch"}})
	require.Contains(t, words(s.doc), "Upload a file first, or choose one that is there.")
}

func TestOtherFailuresAreNoFaultOfTheForm(t *testing.T) {
	t.Parallel()
	d := full(t, "Report")
	d.api.refuse(http.StatusServiceUnavailable, "The database is away.", "")
	for _, path := range []string{"/new", "/webhooks", "/webhooks/" + endpointID, "/jobs/" + batchID + "/cancel", "/deliveries/dlv_1/retry"} {
		s := d.post(path, url.Values{"kind": {"generation"}})
		require.Equal(t, http.StatusServiceUnavailable, s.Code, path)
		require.Equal(t, "The server could not answer", words(elements(s.doc, "h1")[0]))
		require.Contains(t, words(s.doc), "The database is away.")
		script := d.post(path, url.Values{"kind": {"generation"}}, "HX-Request", "true")
		require.Equal(t, "#toasts", script.Header().Get("HX-Retarget"), path)
		require.NotContains(t, script.Body.String(), "<html", "a part of the page")
	}
}

// TestRefusalsAreShownByTheScript: htmx leaves out answers that are no 2xx, unless it is told otherwise.
func TestRefusalsAreShownByTheScript(t *testing.T) {
	t.Parallel()
	config := having(open(t, &facts{}).get("/jobs").doc, "name", "htmx-config")
	require.Len(t, config, 1)
	require.Contains(t, value(config[0], "content"), `{"code":"...","swap":true}`)
	require.Contains(t, value(config[0], "content"), `"allowEval":false`)
}

func TestAnotherPressMakesNoOtherJob(t *testing.T) {
	t.Parallel()
	d := full(t, "Report")
	key := d.get("/new").field(t, "key")
	require.Regexp(t, `^form_[0-9A-Z]{26}$`, key)
	require.NotEqual(t, key, d.get("/new").field(t, "key"))
	press := func(prompt string) string {
		d.post("/new", url.Values{"kind": {"generation"}, "prompt": {prompt}, "key": {key}})
		return d.api.last(t).header.Get("Idempotency-Key")
	}
	once := press("a")
	require.True(t, strings.HasPrefix(once, key+"-"))
	require.Equal(t, once, press("a"))
	require.NotEqual(t, once, press("b"), "what was changed is another job")
	d.post("/new", url.Values{"kind": {"generation"}})
	require.Empty(t, d.api.last(t).header.Get("Idempotency-Key"))
	d.post("/new", url.Values{"kind": {"generation"}, "key": {strings.Repeat("x", 1000)}})
	require.Empty(t, d.api.last(t).header.Get("Idempotency-Key"))
}

// TestSecretsAreShownOnce in the answer to the form that made them, which nobody keeps.
func TestSecretsAreShownOnce(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/webhooks", "/webhooks/" + endpointID + "/rotate"} {
		d := full(t, "Report")
		d.api.answer = `{"id":"` + endpointID + `","signing_secret":"whsec_new"}`
		s := d.post(path, url.Values{"url": {"https://a.example"}, "event": {"batch.failed"}})
		require.Equal(t, http.StatusOK, s.Code)
		require.Equal(t, "no-store", s.Header().Get("Cache-Control"))
		require.Contains(t, words(s.doc), "whsec_new")
		require.NotContains(t, d.get("/webhooks/"+endpointID).Body.String(), "whsec_new")
		require.NotContains(t, d.log.String(), "whsec_new")
	}
}

func TestDeletingWantsTheName(t *testing.T) {
	t.Parallel()
	f := world("Report")
	f.endpoints[0].Name = " Loader "
	d := open(t, f)
	for _, typed := range []string{"", "loader", "Load", endpointID} {
		s := d.post("/webhooks/"+endpointID+"/delete", url.Values{"confirm": {typed}})
		require.Equal(t, http.StatusBadRequest, s.Code)
		require.Contains(t, words(s.doc), "That is not the name. It is “Loader”.")
	}
	require.Empty(t, d.api.asked)
	require.Equal(t, http.StatusSeeOther, d.post("/webhooks/"+endpointID+"/delete", url.Values{"confirm": {"Loader"}}).Code)
	require.Equal(t, "DELETE", d.api.last(t).method)
}

func TestNothingTickedIsSaid(t *testing.T) {
	t.Parallel()
	d := full(t, "x")
	s := d.post("/deliveries/retry", url.Values{})
	require.Equal(t, http.StatusBadRequest, s.Code)
	require.Contains(t, words(s.doc), "No delivery is ticked.")
	require.Empty(t, d.api.asked)
}

func TestFormsLeadToPagesOfOurs(t *testing.T) {
	t.Parallel()
	d := full(t, "x")
	for _, away := range []string{"https://evil.example", "//evil.example", `/\evil.example`, "/\t/evil.example", "/\n/evil.example", `\\evil`, "javascript:alert(1)", "evil", "///evil.example"} {
		s := d.post("/deliveries/dlv_1/retry", url.Values{"back": {away}})
		require.Equal(t, "/deliveries/dlv_1?done=retried", s.Header().Get("Location"), "%q", away)
		s = d.post("/deliveries/dlv_1/retry", url.Values{"back": {away}}, "HX-Request", "true")
		require.Equal(t, "/deliveries/dlv_1?done=retried", s.Header().Get("HX-Redirect"), "%q", away)
	}
}

// TestRetriedLinesGoToTheSameReceiver, where nothing of it is secret.
func TestRetriedLinesGoToTheSameReceiver(t *testing.T) {
	t.Parallel()
	for shown, want := range map[string]map[string]any{
		`{"url":"https://a.example/x","method":"PUT","events":["batch.*"],"timeout":"5s"}`: {"url": "https://a.example/x", "method": "PUT", "events": []any{"batch.*"}, "timeout": "5s"},
		`{"url":"https://a.example/x","method":"POST","headers":null,"events":null}`:       {"url": "https://a.example/x", "method": "POST"},
		`{"url":"https://a.example/x?k=***"}`:                                              nil,
		`{"url":"https://a.example/x","headers":{"X-A":"***"}}`:                            nil,
		`{"url":"https://a.example/x","secret":"***"}`:                                     nil,
		`null`: nil, ``: nil,
	} {
		require.Equal(t, want, webhookAgain(&jobs.Job{Webhook: []byte(shown)}), shown)
	}
}

func TestTestFires(t *testing.T) {
	t.Parallel()
	path := "/webhooks/" + endpointID + "/test"
	for answer, want := range map[string][]string{
		`{"success":true,"attempt":{"status_code":200,"duration_ms":84,"timings":{"dns":1,"connect":2},"response_snippet":"<ok>"}}`: {"200 OK", "84 ms", "<ok>", "A real delivery would be done."},
		`{"success":false,"attempt":{"status_code":503,"duration_ms":5}}`:                                                           {"503 Service Unavailable", "tried again by the schedule", "Mend the receiver"},
		`{"success":false,"attempt":{"status_code":410,"duration_ms":5}}`:                                                           {"410 Gone", "would end here"},
		`{"success":false,"attempt":{"status_code":0,"error_class":"blocked_address","duration_ms":0}}`:                             {"Private address", "would end here", "callbacks.allow_cidrs"},
	} {
		d := full(t, "Report")
		d.api.answer = answer
		whole := d.post(path, url.Values{"type": {"batch.failed"}})
		require.JSONEq(t, `{"event_type":"batch.failed"}`, d.api.last(t).body)
		soundPage(t, whole, path, true)
		part := d.post(path, nil, "HX-Request", "true")
		require.JSONEq(t, `{"event_type":"webhook.test"}`, d.api.last(t).body)
		require.NotContains(t, part.Body.String(), "<html")
		for _, one := range want {
			require.Contains(t, words(whole.doc), one)
			require.Contains(t, words(part.doc), one)
		}
	}
}

// TestCodeFollowsTheForm as it is being filled in.
func TestCodeFollowsTheForm(t *testing.T) {
	t.Parallel()
	d := full(t, "Report")
	s := d.post("/new/code", url.Values{"kind": {"batch"}, "file_id": {inputID}, "name": {"<b>"}, "header_name": {"X-A"}, "header_value": {"hidden value"}, "webhook_url": {"https://a.example"}}, "HX-Request", "true")
	require.Equal(t, http.StatusOK, s.Code)
	require.NotContains(t, s.Body.String(), "hidden value")
	require.Contains(t, words(s.doc), "Report.jsonl")
	require.Contains(t, words(s.doc), "X_A")
	require.Empty(t, elements(s.doc, "b"))
	require.Len(t, elements(s.doc, "pre"), 4)
	require.Empty(t, d.api.asked)
}

// TestTheFormBeginsAsAJobWas: what is hidden is typed again.
func TestTheFormBeginsAsAJobWas(t *testing.T) {
	t.Parallel()
	d := full(t, "Report")
	s := d.get("/new?from=" + callID)
	require.Equal(t, "Report", s.field(t, "prompt"))
	require.Equal(t, "Report", s.field(t, "name"))
	require.Equal(t, "https://hooks.example.com/Report", s.field(t, "webhook_url"))
	require.Equal(t, "Report", s.field(t, "header_name"))
	require.Empty(t, s.field(t, "header_value"))
	require.Equal(t, http.StatusOK, d.get("/new?from=none").Code)
	require.Equal(t, inputID, d.get("/new?from="+batchID).field(t, "file_id"))
}

func TestLists(t *testing.T) {
	t.Parallel()
	d := full(t, "Report")
	s := d.get("/jobs?q=%20Report&kind=batch&status=running&after=" + batchID + "&done=x&done=y")
	require.Equal(t, jobs.Search{ProjectID: "default", Text: " Report", Kind: jobs.KindBatch, Group: jobs.GroupRunning, After: batchID, Limit: pageRows}, d.facts.searched)
	require.Contains(t, s.Body.String(), `href="/jobs?kind=batch&amp;q=&#43;Report&amp;status=failed"`, "another tab begins at the newest")
	d.get("/jobs?status=nonsense")
	require.Equal(t, jobs.GroupAll, d.facts.searched.Group)
	d.get("/deliveries?job=" + batchID + "&type=batch.completed&state=failed&since=1h")
	require.Equal(t, callbacks.DeliveryFilter{ProjectID: "default", JobID: batchID, EventType: jobs.BatchCompleted, State: callbacks.Failed, Since: jobs.At(noon.Add(-3600e9))}, d.facts.counted.DeliveryFilter)
	require.Equal(t, batchID, d.get("/deliveries?job="+batchID).field(t, "q"), "what the list is held to is shown")
	d.get("/deliveries?q=evt_1&state=nonsense&since=nonsense")
	require.Equal(t, callbacks.DeliveryFilter{ProjectID: "default", EventID: "evt_1"}, d.facts.counted.DeliveryFilter)
	require.Equal(t, http.StatusNotFound, d.get("/jobs/none/lines").Code)
	part := d.get("/jobs/"+batchID+"/lines?after=5", "HX-Request", "true")
	require.Len(t, elements(part.doc, "details"), moreLines)
	require.Equal(t, "/jobs/"+batchID+"/lines?after=25", value(having(part.doc, "hx-get", "")[0], "hx-get"))
	for text, want := range map[string]string{"a\x00b": "ab", "\xff": "", "a\ufffdb": "ab", strings.Repeat("é", 300): strings.Repeat("é", 250), "": ""} {
		require.Equal(t, want, clean(text))
	}
}
