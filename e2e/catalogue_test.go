package e2e

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/callbacks"
)

var update = flag.Bool("update", false, "write the documents that are made by running")

const catalogueFile = "../docs/events.md"

// slowTypes take longer than a test should: the shortest window of a batch is a minute. They are seen with -update alone.
var slowTypes = []string{"batch.expired"}

// TestEventCatalogue makes each event happen and holds docs/events.md to what a receiver got: each type has a sample, and the
// sample has the fields that the real one has. To write it anew:
//
//	go test ./e2e -run TestEventCatalogue -update
func TestEventCatalogue(t *testing.T) {
	t.Parallel()
	types := append(callbacks.EventTypes(), string(callbacks.EventTest))
	real := happened(t)
	if *update {
		samples := map[string]string{}
		for typ, c := range real {
			samples[typ] = asSample(t, c.body)
		}
		require.NoError(t, os.WriteFile(catalogueFile, catalogue(t, types, samples), 0o644))
	}
	text, err := os.ReadFile(catalogueFile)
	require.NoError(t, err)
	samples := samplesIn(string(text))
	require.Equal(t, string(catalogue(t, types, samples)), string(text), "run: go test ./e2e -run TestEventCatalogue -update")
	c, err := document()
	require.NoError(t, err)
	for _, typ := range types {
		require.NotEmpty(t, samples[typ], "%s has no sample", typ)
		require.NoError(t, c.Event(typ, []byte(samples[typ])), typ)
		if !*update && slices.Contains(slowTypes, typ) {
			continue
		}
		require.NotEmpty(t, real[typ].body, "%s did not happen", typ)
		require.NoError(t, c.Callback(typ, real[typ].header, real[typ].body))
		require.Equal(t, fieldsOf(t, real[typ].body), fieldsOf(t, []byte(samples[typ])), "%s: run with -update", typ)
	}
}

// happened makes an event of each type happen, and gives what a receiver that wants all got of it.
func happened(t *testing.T) map[string]callback {
	t.Helper()
	s := startServer(t, append(openCallbacks(), "callbacks.schedule=[0s]", "simulator.tuning=3s")...)
	all := startReceiver(t)
	e := s.register(all, `"*"`, "")
	got := map[string]callback{}
	want := func(subject string, types ...string) {
		t.Helper()
		for _, typ := range types {
			got[typ] = all.wait(subject, typ)
		}
	}
	const about = `,"metadata":{"team":"billing"}`
	late := ""
	if *update {
		body := fmt.Sprintf(`{"input_file_id":%q,"endpoint":%q,"completion_window":"1m"}`, s.input(chatLine("slow", "sim-small", "[[sim:hang]]")), chat)
		late = s.call(http.StatusOK, "POST", "/v1/batches", body).get("id").String()
	}
	tuning := s.tuning(40, `,"suffix":"mine"`+about)
	unhappy := s.tuning(3, "")

	var lines strings.Builder
	for i := range 20 {
		lines.WriteString(chatLine(fmt.Sprintf("question-%d", i), "sim-small", fmt.Sprintf("What is %d times %d?", i, i+1)))
	}
	lines.WriteString(chatLine("question-20", "sim-small", "[[sim:wait=1s]] What is 20 times 21?")) // the others are told of first
	ask := func(prompt, more string) string {
		body := fmt.Sprintf(`{"model":"sim-small","input":%q%s}`, prompt, more)
		return s.call(http.StatusAccepted, "POST", "/v1/generate", body).get("id").String()
	}
	file := s.input(lines.String())
	batch := s.batch(file, about)
	stuck := s.batch(s.input(chatLine("slow", "sim-small", "[[sim:hang]]")), "")
	bad := s.batch(s.input(chatLine("one", "sim-small", "hi")+chatLine("one", "sim-small", "hi")), "")
	streamed := ask("[[sim:drip=1s]] Why is the sky blue?", `,"stream":true`)
	failing := ask("[[sim:status=400]]", "")
	hanging := ask("[[sim:hang]]", "")
	respond := func(input, more string) string {
		body := fmt.Sprintf(`{"model":"sim-small","input":%q,"background":true%s}`, input, more)
		return s.call(http.StatusOK, "POST", "/v1/responses", body).get("id").String()
	}
	answered, short := respond("Why is the sky blue?", about), respond("Why is the sky blue?", `,"max_output_tokens":16`)
	refusedOne, endless := respond("[[sim:status=400]]", ""), respond("[[sim:hang]]", "")

	s.ended(batch)
	s.reaches(stuck, "in_progress")
	s.cancel(http.StatusOK, "/v1/batches/"+stuck)
	all.wait(hanging, "generation.in_progress")
	s.cancel(http.StatusOK, "/v1/generate/"+hanging)
	s.cancel(http.StatusOK, "/v1/responses/"+endless)
	s.call(http.StatusOK, "DELETE", "/v1/files/"+file, "")
	want(file, "file.created", "file.deleted")
	want(batch, "batch.created", "batch.in_progress", "batch.progress", "batch.completed")
	want(stuck, "batch.cancelled")
	want(bad, "batch.failed")
	want(streamed, "generation.in_progress", "generation.progress", "generation.completed")
	want(failing, "generation.failed")
	want(hanging, "generation.cancelled")
	want(answered, "response.completed")
	want(short, "response.incomplete")
	want(refusedOne, "response.failed")
	want(endless, "response.cancelled")
	happenedToReceivers(t, s, want)
	s.call(http.StatusOK, "POST", endpointsPath+"/"+e.id+"/test", "")
	want(e.id, "webhook.test")
	want(tuning, "fine_tuning.job.created", "fine_tuning.job.running", "fine_tuning.job.progress", "fine_tuning.job.succeeded")
	want(unhappy, "fine_tuning.job.failed")
	stopped := s.tuning(40, "")
	s.cancel(http.StatusOK, "/v1/fine_tuning/jobs/"+stopped)
	want(stopped, "fine_tuning.job.cancelled")
	if late != "" {
		s.ended(late)
		want(late, "batch.expired")
	}
	return got
}

// happenedToReceivers makes what happens to endpoints: one is gone, one fails until it is held back and then answers again.
func happenedToReceivers(t *testing.T, s *server, want func(subject string, types ...string)) {
	t.Helper()
	gone := s.register(startReceiver(t, http.StatusGone), `"generation.completed"`, `,"name":"gone","models":["sim-large"]`)
	flaky := startReceiver(t)
	flaky.saying(http.StatusServiceUnavailable, "")
	held := s.register(flaky, `"file.created"`, `,"name":"flaky"`)
	s.call(http.StatusAccepted, "POST", "/v1/generate", `{"model":"sim-large","input":"hi"}`)
	want(gone.id, "endpoint.disabled")
	for range 10 {
		s.input(chatLine("one", "sim-small", "hi"))
	}
	s.eventually("deliveries have failed", func() bool { return len(s.deliveries("status=failed&endpoint_id="+held.id)) >= 8 })
	given := s.deliveries("status=failed&endpoint_id=" + held.id)[0].Get("id").String()
	want(given, "delivery.exhausted")
	flaky.saying(http.StatusOK, "")
	want(held.id, "endpoint.recovered")
}

func chatLine(id, model, prompt string) string {
	return fmt.Sprintf(`{"custom_id":%q,"method":"POST","url":%q,"body":{"model":%q,"messages":[{"role":"user","content":%q}]}}`+"\n", id, chat, model, prompt)
}

// catalogue is the document: each type with when it fires and a sample.
func catalogue(t *testing.T, types []string, samples map[string]string) []byte {
	t.Helper()
	c, err := document()
	require.NoError(t, err)
	var b bytes.Buffer
	b.WriteString(`# Events

Every type of event, when it fires, and a callback's body as a receiver got it. The samples are made by running; their IDs,
times and addresses are put in the place of the real ones. [callbacks.md](callbacks.md) has the headers, and what your answer
does; [openapi.yaml](../web/openapi/openapi.yaml) has every field.

` + "`data.object`" + ` is exactly what polling answered at that moment. ` + "`sequence`" + ` counts the events of one job, file, endpoint or delivery.

`)
	for _, typ := range types {
		fmt.Fprintf(&b, "- [`%s`](#%s): %s\n", typ, strings.ReplaceAll(typ, ".", ""), c.EventMeaning(typ))
	}
	for _, typ := range types {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n```json\n%s\n```\n", typ, c.EventMeaning(typ), samples[typ])
	}
	return b.Bytes()
}

var sampleForm = regexp.MustCompile("(?s)\n## ([a-z_.]+)\n\n[^\n]*\n\n```json\n(.*?)\n```\n")

func samplesIn(text string) map[string]string {
	found := map[string]string{}
	for _, m := range sampleForm.FindAllStringSubmatch(text, -1) {
		found[m[1]] = m[2]
	}
	return found
}

var (
	ulids     = regexp.MustCompile(`[0-9A-HJKMNP-TV-Z]{26}`)
	uuids     = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`)
	times     = regexp.MustCompile(`(_at|created|timestamp|estimated_finish|eta|until|_since)":([0-9]{10})\b`)
	addresses = regexp.MustCompile(`http://127\.0\.0\.1:[0-9]+`)
	stamps    = regexp.MustCompile(`"Webhook-Timestamp":"[0-9]+"`)
	signed    = regexp.MustCompile(`v1a?,[A-Za-z0-9+/=]+`)
	models    = regexp.MustCompile(`(ft:[^"]*:)[0-9a-f]{8}`)
)

// asSample puts values that tell nothing in the place of those that differ in each run.
func asSample(t *testing.T, body []byte) string {
	t.Helper()
	text := string(body)
	numbered := func(form *regexp.Regexp, as string) {
		known := map[string]string{}
		text = form.ReplaceAllStringFunc(text, func(id string) string {
			if known[id] == "" {
				known[id] = fmt.Sprintf(as, len(known)+1)
			}
			return known[id]
		})
	}
	numbered(ulids, "01KB3V7Q2M00000000000000%02d")
	numbered(uuids, "0c5f8f4e-9a55-4c57-8a34-6f4de2a8b1%02d")
	text = addresses.ReplaceAllString(text, "https://example.com")
	text = signed.ReplaceAllString(text, "***")
	text = models.ReplaceAllString(text, "${1}1a2b3c4d")
	text = strings.ReplaceAll(text, `"name":"127.0.0.1"`, `"name":"example.com"`)
	text = stamps.ReplaceAllString(text, `"Webhook-Timestamp":"1795268113"`)
	const first = 1795268113
	var begun int64
	for _, m := range times.FindAllStringSubmatch(text, -1) {
		at, err := strconv.ParseInt(m[2], 10, 64)
		require.NoError(t, err)
		if begun == 0 || at < begun {
			begun = at
		}
	}
	text = times.ReplaceAllStringFunc(text, func(found string) string {
		name, number, _ := strings.Cut(found, `":`)
		at, _ := strconv.ParseInt(number, 10, 64)
		return name + `":` + strconv.FormatInt(at-begun+first, 10)
	})
	var b bytes.Buffer
	require.NoError(t, json.Indent(&b, []byte(text), "", "  "))
	return b.String()
}

// fieldsOf are the paths of the fields that Ringback itself puts into an event. What it passes on as it came, and what is null
// in one run and an object in another, is left out.
func fieldsOf(t *testing.T, body []byte) []string {
	t.Helper()
	require.True(t, gjson.ValidBytes(body))
	found := map[string]bool{}
	var walk func(at string, v gjson.Result)
	walk = func(at string, v gjson.Result) {
		if !v.IsObject() || slices.Contains([]string{".data.object.result", ".data.object.usage", ".data.object.blocked_by", ".data.object.hyperparameters", ".data.object.progress.metrics", ".data.object.output"}, at) {
			return
		}
		v.ForEach(func(key, value gjson.Result) bool {
			found[at+"."+key.String()] = true
			walk(at+"."+key.String(), value)
			return true
		})
	}
	walk("", gjson.ParseBytes(body))
	return slices.Sorted(maps.Keys(found))
}
