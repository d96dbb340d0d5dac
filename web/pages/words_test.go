package pages

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

func TestStatusBadge(t *testing.T) {
	t.Parallel()
	for status, want := range map[jobs.Status]badge{
		jobs.Queued: {"off", "s-wait", "Queued"}, jobs.Validating: {"run", "s-run", "Checking"}, jobs.InProgress: {"run", "s-run", "In progress"},
		jobs.Finalizing: {"run", "s-run", "Writing files"}, jobs.Cancelling: {"off", "s-run", "Cancelling"}, jobs.Completed: {"ok", "s-ok", "Completed"},
		jobs.Failed: {"bad", "s-bad", "Failed"}, jobs.Expired: {"wait", "clock", "Expired"}, jobs.Cancelled: {"off", "s-off", "Cancelled"},
		jobs.Incomplete: {"wait", "s-warn", "Cut short"}, jobs.ValidatingFiles: {"run", "s-run", "Checking"}, jobs.Running: {"run", "s-run", "Running"},
		jobs.Paused: {"off", "pause", "Paused"}, jobs.Succeeded: {"ok", "s-ok", "Succeeded"},
	} {
		require.Equal(t, want, statusBadge(&jobs.Job{Status: status}), status)
		stuck := statusBadge(&jobs.Job{Status: status, BlockedBy: jobs.BlockedByProvider})
		switch status {
		case jobs.Queued, jobs.InProgress, jobs.Running:
			require.Equal(t, badge{"bad", "s-warn", "Stuck"}, stuck, status)
		default:
			require.Equal(t, want, stuck, status)
		}
	}
	require.Empty(t, sentence(""))
}

func TestDeliveryBadge(t *testing.T) {
	t.Parallel()
	ok, refused, timeout := &callbacks.Attempt{StatusCode: 200}, &callbacks.Attempt{StatusCode: 503}, &callbacks.Attempt{ErrorClass: callbacks.ClassTimeout}
	for name, tc := range map[string]struct {
		d    callbacks.Delivery
		last *callbacks.Attempt
		want badge
	}{
		"delivered":            {callbacks.Delivery{State: callbacks.Delivered}, ok, badge{"ok", "s-ok", "Delivered, 200"}},
		"sending":              {callbacks.Delivery{State: callbacks.Sending}, refused, badge{"run", "s-run", "Being sent"}},
		"given up":             {callbacks.Delivery{State: callbacks.Failed}, timeout, badge{"bad", "s-bad", "Gave up, timeout"}},
		"given up, never sent": {callbacks.Delivery{State: callbacks.Failed, Reason: callbacks.ReasonBreakerOpen}, nil, badge{"bad", "s-bad", "Gave up"}},
		"cancelled by hand":    {callbacks.Delivery{State: callbacks.Cancelled, Reason: callbacks.ReasonByHand}, nil, badge{"off", "s-off", "Cancelled, by hand"}},
		"endpoint deleted":     {callbacks.Delivery{State: callbacks.Cancelled, Reason: callbacks.ReasonDeleted}, nil, badge{"off", "s-off", "Cancelled, endpoint deleted"}},
		"endpoint off":         {callbacks.Delivery{State: callbacks.Cancelled, Reason: callbacks.ReasonDisabled}, nil, badge{"off", "s-off", "Cancelled, endpoint off"}},
		"for another reason":   {callbacks.Delivery{State: callbacks.Cancelled, Reason: "x"}, nil, badge{"off", "s-off", "Cancelled"}},
		"waits for its first":  {callbacks.Delivery{State: callbacks.Waiting}, nil, badge{"off", "s-wait", "Waiting"}},
		"waits for its second": {callbacks.Delivery{State: callbacks.Waiting}, refused, badge{"wait", "retry", "503, again"}},
		"held back":            {callbacks.Delivery{State: callbacks.Waiting, HeldSince: 1}, nil, badge{"wait", "retry", "Held back"}},
		"held back after one":  {callbacks.Delivery{State: callbacks.Waiting, HeldSince: 1}, timeout, badge{"wait", "retry", "Held back, timeout"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, deliveryBadge(&tc.d, tc.last))
		})
	}
}

func TestNextWords(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		d      callbacks.Delivery
		status int
		class  callbacks.Class
		last   bool
		want   string
		why    string
	}{
		"delivered":        {callbacks.Delivery{State: callbacks.Delivered}, 204, "", true, "Delivered. Nothing more is sent.", "Any 2xx answer"},
		"one before":       {callbacks.Delivery{State: callbacks.Delivered}, 500, "", false, "It was tried again.", "The receiver had an error."},
		"tried again":      {callbacks.Delivery{State: callbacks.Waiting}, 0, callbacks.ClassDNS, true, "It is tried again.", "could not be resolved"},
		"in hand":          {callbacks.Delivery{State: callbacks.Sending}, 429, "", true, "It is tried again.", "Retry-After is obeyed"},
		"held back":        {callbacks.Delivery{State: callbacks.Waiting, HeldSince: 1}, 500, "", true, "It waits until the receiver answers again.", "only probed"},
		"given up":         {callbacks.Delivery{State: callbacks.Failed}, 404, "", true, "Gave up.", "The receiver refused it."},
		"gone":             {callbacks.Delivery{State: callbacks.Cancelled}, 410, "", true, "Nothing more is sent.", "410 says"},
		"2xx that is none": {callbacks.Delivery{State: callbacks.Waiting}, 200, callbacks.ClassTimeout, true, "It is tried again.", "No complete answer"},
		"an odd status":    {callbacks.Delivery{State: callbacks.Waiting}, 302, "", true, "It is tried again.", "Only 2xx counts"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			title, why := nextWords(&tc.d, &callbacks.Attempt{StatusCode: tc.status, ErrorClass: tc.class}, tc.last)
			require.Equal(t, tc.want, title)
			require.Contains(t, why, tc.why)
		})
	}
}

func TestTodoWords(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]string{
		401: "Compare the receiver’s secret", 403: "Compare the receiver’s secret", 404: "Correct the URL’s path", 405: "Correct the URL’s path", 410: "switch the endpoint on again",
		413: "limits.event_bytes", 418: "The receiver refused the request.", 500: "Mend the receiver", 200: "", 302: "",
	} {
		got := todoWords(&callbacks.Attempt{StatusCode: status})
		require.Contains(t, got, want, status)
		require.Equal(t, want == "", got == "", status)
	}
	require.Contains(t, todoWords(&callbacks.Attempt{StatusCode: 200, ErrorClass: callbacks.ClassTimeout}), "Answer 2xx first")
}

// TestEveryClassHasWords: whatever an attempt ended with is told in plain words, with what to do about it.
func TestEveryClassHasWords(t *testing.T) {
	t.Parallel()
	classes := constants(t, "../../callbacks/class.go", "Class")
	require.Greater(t, len(classes), 10)
	for _, class := range classes {
		w := classWords[callbacks.Class(class)]
		require.NotEmpty(t, w.short, class)
		require.True(t, strings.HasSuffix(w.why, ".") && strings.HasSuffix(w.todo, "."), class)
		require.NotContains(t, w.short, "_")
		require.Equal(t, sentenceOf(w.short), answerTitle(&callbacks.Attempt{ErrorClass: callbacks.Class(class)}))
	}
	require.Len(t, classWords, len(classes))
	require.Equal(t, "503 Service Unavailable", answerTitle(&callbacks.Attempt{StatusCode: 503}))
	require.Equal(t, "200 OK, timeout", answerTitle(&callbacks.Attempt{StatusCode: 200, ErrorClass: callbacks.ClassTimeout}))
	require.Equal(t, "999", answerTitle(&callbacks.Attempt{StatusCode: 999}))
	require.Equal(t, "No answer", answerTitle(&callbacks.Attempt{ErrorClass: "another"}))
}

// constants are the values of a file's string constants of a type.
func constants(t *testing.T, path, typ string) (values []string) {
	t.Helper()
	file, err := parser.ParseFile(gotoken.NewFileSet(), path, nil, 0)
	require.NoError(t, err)
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if name, ok := spec.Type.(*ast.Ident); ok && name.Name == typ {
			text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			require.NoError(t, err)
			values = append(values, text)
		}
		return true
	})
	return values
}

// TestEveryEventHasItsPlace in timelines, where it is about a job, and in the form that subscribes to it.
func TestEveryEventHasItsPlace(t *testing.T) {
	t.Parallel()
	for _, typ := range jobs.EventTypes() {
		if strings.HasPrefix(string(typ), "file.") {
			continue
		}
		m, ok := eventMoments[typ]
		require.True(t, ok && m.Title != "" && m.Icon != "" && m.Tone != "", typ)
	}
	f := newEndpointForm(nil)
	var ticks []string
	chosen := 0
	for _, g := range f.Groups {
		require.NotEmpty(t, g.Types, g.Word)
		for _, tick := range g.Types {
			ticks = append(ticks, tick.Type)
			require.NotContains(t, tick.Word, "_")
			if tick.Chosen {
				chosen++
			}
		}
	}
	require.ElementsMatch(t, callbacks.EventTypes(), ticks, "each type once")
	require.Equal(t, len(ticks), f.All)
	require.Equal(t, chosen, f.Chosen)
	require.NotZero(t, chosen)
}

func TestBlockedStat(t *testing.T) {
	t.Parallel()
	for reason, want := range map[jobs.Blocked]stat{
		jobs.BlockedByRateLimit: {Value: "Rate limit", Tone: "wait"}, jobs.BlockedByProvider: {Value: "Provider down", Tone: "bad"}, jobs.BlockedByWindow: {Value: "Its time"},
		jobs.BlockedByRetry: {Value: "A retry", Tone: "wait"}, jobs.BlockedByQueue: {Value: "Others go first"},
	} {
		got := blockedStat(&jobs.Snapshot{Job: jobs.Job{Status: jobs.InProgress, BlockedBy: reason, BlockedUntil: jobs.At(noon)}})
		require.Equal(t, want.Value, got.Value)
		require.Equal(t, want.Tone, got.Tone)
		require.NotEmpty(t, got.Small)
		require.Equal(t, jobs.At(noon), got.Until)
	}
	require.Equal(t, "place 3 in the queue", blockedStat(&jobs.Snapshot{Job: jobs.Job{Kind: jobs.KindGeneration, Status: jobs.Queued}, Position: 3}).Small)
	running := blockedStat(&jobs.Snapshot{Job: jobs.Job{Status: jobs.InProgress, Work: jobs.Work{Attempt: 1}}})
	require.Equal(t, "Nothing", running.Value)
	require.Zero(t, running.Until)
}

func TestTroubleOf(t *testing.T) {
	t.Parallel()
	p := &Pages{}
	for name, tc := range map[string]struct {
		e     callbacks.Endpoint
		waits int64
		want  []string
	}{
		"works":               {callbacks.Endpoint{IsActive: true}, 5, nil},
		"off":                 {callbacks.Endpoint{}, 0, []string{"It is off"}},
		"switched off":        {callbacks.Endpoint{Disabled: callbacks.DisabledFailing}, 0, []string{"five days"}},
		"its receiver's wish": {callbacks.Endpoint{Disabled: "410"}, 0, []string{"“410”"}},
		"one failure":         {callbacks.Endpoint{IsActive: true, Failures: 1}, 0, []string{"1 call in a row has failed."}},
		"failing": {
			callbacks.Endpoint{IsActive: true, Failures: 3, FailingSince: jobs.At(noon)},
			1,
			[]string{"3 calls in a row have failed.", "1 delivery waits and goes out by itself", "6 Mar 12:00 UTC"},
		},
		"many wait": {callbacks.Endpoint{IsActive: true, Failures: 3}, 12_000, []string{"10,000+ deliveries wait"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := p.troubleOf(&tc.e, callbacks.Backlog{N: tc.waits})
			require.Equal(t, tc.want == nil, got == "", got)
			for _, part := range tc.want {
				require.Contains(t, got, part)
			}
		})
	}
}

func TestRemedy(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		f    jobs.Failure
		want string
	}{
		{jobs.Failure{Code: "batch_expired"}, "Retry with a longer completion window"},
		{jobs.Failure{Code: "batch_cancelled"}, "Retry, if these are wanted after all"},
		{jobs.Failure{Status: 401}, "Correct the provider’s key in the configuration, then retry"},
		{jobs.Failure{Status: 403}, "Correct the provider’s key in the configuration, then retry"},
		{jobs.Failure{Status: 404}, "Correct the model or the path, then send these lines as a new job"},
		{jobs.Failure{Status: 408}, "Retry: the cause passes by itself"},
		{jobs.Failure{Status: 429}, "Retry: the cause passes by itself"},
		{jobs.Failure{Status: 500}, "Retry: the cause passes by itself"},
		{jobs.Failure{Status: 422}, "Correct these lines, then send them as a new job"},
		{jobs.Failure{}, "Retry"},
	} {
		require.Equal(t, tc.want, remedy(tc.f))
	}
	c := causeOf(jobs.Failure{Status: 500, Code: "server_error", Lines: 12, Sample: []string{"a", "b"}})
	require.Equal(t, "500 server_error", c.Code)
	require.Equal(t, "a and 11 more", c.Sample)
	require.Equal(t, "a, b", causeOf(jobs.Failure{Lines: 2, Sample: []string{"a", "b"}}).Sample)
}

func TestTriesNote(t *testing.T) {
	t.Parallel()
	a := func(status int, class callbacks.Class) callbacks.Attempt {
		return callbacks.Attempt{StatusCode: status, ErrorClass: class, DurationMS: 84}
	}
	require.Empty(t, triesNote(nil))
	require.Equal(t, "200 in 84 ms", triesNote([]callbacks.Attempt{a(200, "")}))
	require.Equal(t, "timeout, then 200", triesNote([]callbacks.Attempt{a(0, callbacks.ClassTimeout), a(200, "")}))
	require.Equal(t, "200, attempt 3", triesNote([]callbacks.Attempt{a(500, ""), a(500, ""), a(200, "")}))
}

func TestPhasesOf(t *testing.T) {
	t.Parallel()
	of := func(timings string, took int64, status int) (got []string) {
		at := 0.0
		for _, one := range phasesOf(&callbacks.Attempt{Timings: json.RawMessage(timings), DurationMS: took, StatusCode: status}) {
			got = append(got, one.Class+" "+one.Word)
			begins, err := strconv.ParseFloat(strings.TrimSuffix(one.At, "%"), 64)
			require.NoError(t, err)
			require.GreaterOrEqual(t, begins, at, "each begins where the one before ended, or later")
			require.LessOrEqual(t, begins, 100.)
			at = begins
		}
		return got
	}
	require.Equal(t, []string{"p1 DNS 2 ms", "p2 connect 10 ms", "p3 TLS 20 ms", "p4 first byte 60 ms", "p5 body 8 ms"}, of(`{"dns":2,"connect":10,"tls":20,"first_byte":60}`, 100, 200))
	require.Equal(t, []string{"p2 connect 10 ms", "p4 waited 90 ms"}, of(`{"connect":10}`, 100, 0))
	require.Equal(t, []string{"p1 DNS 100 ms", "p2 connect < 1 ms"}, of(`{"dns":500,"connect":500}`, 100, 200), "never more than it took")
	for _, none := range []string{``, `null`, `[]`, `{"dns":"x"}`, `{}`} {
		require.Empty(t, of(none, 100, 200), none)
	}
	require.Empty(t, of(`{"dns":1}`, 0, 200))
}

func TestScheduleOf(t *testing.T) {
	t.Parallel()
	schedule := []time.Duration{0, 5 * time.Minute, 2 * time.Hour}
	of := func(d callbacks.Delivery, attempts ...callbacks.Attempt) (got []string) {
		for _, m := range scheduleOf(&d, attempts, schedule) {
			text := m.Title
			if m.Notes != "" {
				text += ": " + m.Notes
			}
			if m.Todo {
				text += " (to come)"
			}
			got = append(got, text)
		}
		return got
	}
	bad, good := callbacks.Attempt{StatusCode: 503}, callbacks.Attempt{StatusCode: 200}
	require.Equal(t, []string{"At once (to come)", "After 5 min (to come)", "After 2 h (to come)"}, of(callbacks.Delivery{State: callbacks.Waiting}))
	require.Equal(t, []string{"At once: 503", "After 5 min: 200, delivered", "After 2 h: not needed (to come)"}, of(callbacks.Delivery{State: callbacks.Delivered, EndedAt: 1}, bad, good))
	require.Equal(t, []string{"At once: 503", "After 5 min: 503", "After 2 h: 503"}, of(callbacks.Delivery{State: callbacks.Failed, EndedAt: 1}, bad, bad, bad))
	require.Equal(t, []string{"At once: 503"}, of(callbacks.Delivery{State: callbacks.Cancelled, EndedAt: 1}, bad), "what is not sent any more has no time")
	manual := bad
	manual.Manual = true
	require.Equal(t, []string{"By hand: 503", "After 5 min (to come)", "After 2 h (to come)"}, of(callbacks.Delivery{State: callbacks.Waiting, Work: jobs.Work{Tries: 1}}, bad, bad, bad, manual), "of this round alone")
	require.Equal(t, []string{"At once: 503", "After 5 min: 503", "After 2 h: 503", "By hand: 200, delivered"}, of(callbacks.Delivery{State: callbacks.Delivered, EndedAt: 1}, bad, bad, bad, good))
}

func TestProgressWords(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		j            jobs.Job
		text, failed string
	}{
		{jobs.Job{Kind: jobs.KindBatch, Status: jobs.Validating}, "checking the input", ""},
		{jobs.Job{Kind: jobs.KindBatch, Status: jobs.Failed}, "input not valid", ""},
		{jobs.Job{Kind: jobs.KindBatch, Status: jobs.InProgress, Total: 1000, Completed: 400, Failed: 1}, "401 of 1,000", "1 failed"},
		{jobs.Job{Kind: jobs.KindBatch, Status: jobs.Completed, Total: 1, Completed: 1}, "1 line", ""},
		{jobs.Job{Kind: jobs.KindTuning, Status: jobs.Running, Total: 100, Completed: 20}, "step 20 of 100", ""},
		{jobs.Job{Kind: jobs.KindTuning, Status: jobs.Succeeded, Completed: 100}, "100 steps", ""},
		{jobs.Job{Kind: jobs.KindTuning, Status: jobs.Queued}, "", ""},
		{jobs.Job{Kind: jobs.KindGeneration}, "1 call", ""},
	} {
		text, failed := progressWords(&tc.j)
		require.Equal(t, tc.text, text)
		require.Equal(t, tc.failed, failed)
	}
}

func TestBarOfFewFailures(t *testing.T) {
	t.Parallel()
	b := newBar("x", 9_999, 1, 0, 10_000, "run")
	require.Equal(t, "99.4%", b.Done)
	require.Equal(t, "0.6%", b.Failed, "one among thousands is seen")
	require.Equal(t, "99.4%", b.FailedAt)
	require.Equal(t, "0%", newBar("x", 0, 0, 0, 0, "run").Done)
	b = newBar("x", 10, 0, 1, 1000, "run")
	require.Equal(t, "1.0%", b.FlightAt)
	require.Equal(t, "0.6%", b.Flight)
}

func TestReasonOf(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		``: "", `[]`: "", `null`: "", `{"message":"No."}`: "No.", `[{"message":"No.","line":1200}]`: "Line 1,200: No.",
		`[{"message":"No."},{"message":"b"},{"message":"c"}]`: "No. And 2 more problems.", `"x"`: "", `{broken`: "",
	} {
		require.Equal(t, want, reasonOf(&jobs.Job{Errors: json.RawMessage(raw)}), raw)
	}
}
