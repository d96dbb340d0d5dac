package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
)

// Endpoints that a submission names get its terminal event, whatever they subscribe to; unknown ones are refused.
func TestNamedEndpoints(t *testing.T) {
	t.Parallel()
	s := startServer(t, append(openCallbacks(), startUpstream(t, nil).provider(""))...)
	one := s.register(startReceiver(t), `"file.deleted"`, "")
	other := s.register(startReceiver(t), `"*"`, "")
	off := s.register(startReceiver(t), `"*"`, `,"is_active":false`)
	file := s.input(numbered(2, 0))
	const unknown = "00000000-0000-4000-8000-000000000000"
	for _, body := range []string{`{"model":"m","input":"hi"`, fmt.Sprintf(`{"input_file_id":%q,"endpoint":%q,"completion_window":"24h"`, file, chat)} {
		path, status := "/v1/generate", http.StatusAccepted
		if strings.Contains(body, "input_file_id") {
			path, status = "/v1/batches", http.StatusOK
		}
		for _, row := range []struct{ name, ids, says string }{
			{"unknown", fmt.Sprintf(`[%q,%q]`, one.id, unknown), unknown},
			{"unknown, alone", fmt.Sprintf(`%q`, unknown), unknown},
			{"no string", `[1]`, "webhook_ids"},
			{"an object", `{}`, "webhook_ids"},
		} {
			e := refused(t, s.call(http.StatusBadRequest, "POST", path, body+`,"webhook_ids":`+row.ids+`}`))
			require.Equal(t, "webhook_ids", e.Get("param").String(), row.name)
			require.Contains(t, e.Get("message").String(), row.says, row.name)
		}
		for _, ids := range []string{fmt.Sprintf(`[%q,%q,%[1]q]`, one.id, off.id), fmt.Sprintf(`%q`, one.id)} {
			a := s.call(status, "POST", path, body+`,"webhook_ids":`+ids+`}`)
			require.Equal(t, one.id, a.get("webhook_ids.0").String(), "%s", a.body)
			job := a.get("id").String()
			s.ended(job)
			s.settled(job)
			require.Len(t, one.types(job), 1, "the end, once")
			require.Contains(t, one.types(job)[0], ".completed")
			require.Greater(t, len(other.types(job)), 1)
		}
	}
	require.Empty(t, off.all())
	missed := s.deliveries("endpoint_id=" + off.id)
	require.Len(t, missed, 2, "one for each submission that named it")
	for _, d := range missed {
		require.Equal(t, []string{"cancelled", "endpoint_disabled"}, []string{d.Get("status").String(), d.Get("reason").String()})
	}
}

// Each endpoint gets what its types and models ask for, and nothing else.
func TestSubscriptions(t *testing.T) {
	t.Parallel()
	up := startUpstream(t, func(body string) reply {
		if prompt(body) == "bad" {
			return reply{status: 400, body: `{"error":{"message":"no","type":"invalid_request_error","param":null,"code":"bad"}}`}
		}
		return reply{body: completion("fine")}
	})
	s := startServer(t, append(openCallbacks(), up.provider(""))...)
	all := s.register(startReceiver(t), `"*"`, "")
	rows := []struct {
		types, models string
		want          func(typ, model string) bool
		endpoint
	}{
		{`"generation.*"`, "", func(typ, _ string) bool { return strings.HasPrefix(typ, "generation.") }, endpoint{}},
		{`"generation.failed"`, "", func(typ, _ string) bool { return typ == "generation.failed" }, endpoint{}},
		{`"batch.*","file.created"`, "", func(typ, _ string) bool { return strings.HasPrefix(typ, "batch.") || typ == "file.created" }, endpoint{}},
		{`"*"`, `,"models":["gpt-*","org/?"]`, func(_, model string) bool { return strings.HasPrefix(model, "gpt-") || model == "org/a" }, endpoint{}},
		{`"batch.completed","generation.completed"`, `,"models":["m"]`, func(typ, model string) bool {
			return model == "m" && strings.HasSuffix(typ, ".completed")
		}, endpoint{}},
	}
	for i := range rows {
		rows[i].endpoint = s.register(startReceiver(t), rows[i].types, rows[i].models)
	}
	models := map[string]string{}
	for _, model := range []string{"m", "gpt-4o", "org/a", "org/ab"} {
		for _, input := range []string{"good", "bad"} {
			models[s.call(http.StatusAccepted, "POST", "/v1/generate", fmt.Sprintf(`{"model":%q,"input":%q}`, model, input)).get("id").String()] = model
		}
	}
	models[s.batch(s.input(numbered(2, 0)), "")] = "m"
	for job := range models {
		s.ended(job)
	}
	s.quiet()
	events := s.events("")
	require.Len(t, all.all(), len(events))
	for _, row := range rows {
		var want []string
		for _, e := range events {
			// What a batch is for is not known before its input has been read.
			model := models[e.Get("data.id").String()]
			if e.Get("type").String() == "batch.created" {
				model = ""
			}
			if row.want(e.Get("type").String(), model) {
				want = append(want, e.Get("id").String())
			}
		}
		require.NotEmpty(t, want)
		require.ElementsMatch(t, want, idsOf(row.all()), "%s %s", row.types, row.models)
	}
}

func idsOf(got []callback) (ids []string) {
	for _, c := range got {
		ids = append(ids, c.id())
	}
	return ids
}

// A batch's whole life reaches a subscriber of everything, numbered in order, and each event shows what a GET answered
// then; so do its files'.
func TestWholeLivesAreTold(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	up := startUpstream(t, func(body string) reply {
		if n := number(body); n == question(0) || n == question(1) || n == question(2) {
			return reply{body: completion("early")}
		}
		if prompt(body) == "slow" {
			return reply{wait: patience}
		}
		<-release
		return reply{body: completion("late")}
	})
	s := startServer(t, append(openCallbacks(), up.provider(""))...)
	e := s.register(startReceiver(t), `"*"`, "")
	file := s.upload(http.StatusOK, part{"purpose", "", "batch"}, part{"file", "input.jsonl", numbered(10, 0)})
	require.JSONEq(t, string(file.body), e.wait(file.get("id").String(), "file.created").get("data.object").Raw)
	created := s.call(http.StatusOK, "POST", "/v1/batches", fmt.Sprintf(`{"input_file_id":%q,"endpoint":%q,"completion_window":"24h","metadata":{"k":"v"}}`, file.get("id").String(), chat))
	batch := created.get("id").String()
	progress := e.wait(batch, "batch.progress")
	close(release)
	polled := s.ended(batch)
	require.JSONEq(t, string(created.body), e.wait(batch, "batch.created").get("data.object").Raw)
	require.Less(t, progress.get("data.object.request_counts.completed").Int(), int64(10))
	require.Positive(t, progress.get("data.object.request_counts.completed").Int())
	require.JSONEq(t, string(polled.body), e.wait(batch, "batch.completed").get("data.object").Raw)
	output := polled.get("output_file_id").String()
	require.JSONEq(t, string(s.read("/v1/files/"+output).body), e.wait(output, "file.created").get("data.object").Raw)
	was := s.read("/v1/files/" + output)
	s.call(http.StatusOK, "DELETE", "/v1/files/"+output, "")
	require.JSONEq(t, string(was.body), e.wait(output, "file.deleted").get("data.object").Raw)

	stopped := s.batch(s.input(line("a", ask("slow"))), "")
	s.reaches(stopped, "in_progress")
	s.cancel(http.StatusOK, "/v1/batches/"+stopped)
	failed := s.batch("file-none", "")
	slow := s.generate("slow", "")
	s.eventually("the call is in flight", func() bool { return s.read("/v1/generate/"+slow).get("status").String() == "in_progress" })
	s.cancel(http.StatusOK, "/v1/generate/"+slow)
	for job, want := range map[string]string{
		batch:   "batch.created batch.in_progress batch.progress batch.completed",
		stopped: "batch.created batch.in_progress batch.cancelled",
		failed:  "batch.created batch.failed",
		slow:    "generation.in_progress generation.cancelled",
	} {
		polled := s.ended(job)
		types := strings.Fields(want)
		require.JSONEq(t, string(polled.body), e.wait(job, types[len(types)-1]).get("data.object").Raw)
		s.settled(job)
		require.Equal(t, want, strings.Join(e.types(job), " "))
	}
	for _, c := range e.all() {
		require.NoError(t, c.verify(e.secret))
		require.JSONEq(t, fmt.Sprintf(`{"scope":"KEY","keys":[%s]}`, c.get("data.id").Raw), c.get("cache_scope_to_invalidate").Raw)
		require.Equal(t, gjson.String, c.get("data.object.id").Type)
	}
}
