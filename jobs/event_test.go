package jobs

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/providers"
)

const noon Time = 1706140800_000

var wide = EventLimits{Bytes: 256 << 10, PublicURL: "https://ring.example"}

func someBatch() Snapshot {
	j := Job{
		ProjectID: "p", ID: "batch_1", Kind: KindBatch, Status: Validating, Path: "/v1/chat/completions",
		InputFileID: "file-1", CompletionWindow: "24h", CreatedAt: noon, ExpiresAt: noon.Add(24 * time.Hour),
	}
	return Snapshot{Job: j}
}

func runningBatch(t *testing.T, total int64) Snapshot {
	t.Helper()
	s := someBatch()
	_, err := s.validated(&index{model: "org/m1", total: total}, noon)
	require.NoError(t, err)
	return s
}

func someGeneration(status Status) Snapshot {
	j := Job{
		ProjectID: "p", ID: "gen_1", Kind: KindGeneration, Status: status, Path: "/v1/chat/completions", Model: "m1",
		Total: 1, CreatedAt: noon, StartedAt: noon, Work: Work{Attempt: 1},
	}
	return Snapshot{Job: j}
}

// must gives the one event of a move that has to work.
func must(t *testing.T) func(Effects, error) EventType {
	t.Helper()
	return func(fx Effects, err error) EventType {
		require.NoError(t, err)
		require.Len(t, fx.Events, 1)
		return fx.Events[0]
	}
}

const (
	batchHead = `{"id":"ID","object":"event","type":"TYPE","created":1706140800,"created_at":1706140800,"event_id":"ID",` +
		`"sequence":1,"cache_scope_to_invalidate":{"scope":"KEY","keys":["batch_1"]},"data":{"id":"batch_1","object":`
	generationHead = `{"id":"ID","object":"event","type":"TYPE","created":1706140800,"created_at":1706140800,"event_id":"ID",` +
		`"sequence":1,"cache_scope_to_invalidate":{"scope":"KEY","keys":["gen_1"]},` +
		`"status":"STATUS","model":"m1","timestamp":1706140800,"model_output":"OUTPUT","data":{"id":"gen_1","object":`
	fileHead = `{"id":"ID","object":"event","type":"TYPE","created":1706140800,"created_at":1706140800,"event_id":"ID",` +
		`"sequence":1,"cache_scope_to_invalidate":{"scope":"KEY","keys":["file-1"]},"data":{"id":"file-1","object":`
)

// body fills a head in, and puts the object behind it.
func body(head string, e Event, status, output string, object []byte) string {
	return strings.NewReplacer("ID", e.ID, "TYPE", string(e.Type), "STATUS", status, "OUTPUT", output).Replace(head) +
		string(object) + "}}"
}

// TestBatchEventBodies has a row for each type: the body, every field of it, after the move that fires it.
func TestBatchEventBodies(t *testing.T) {
	t.Parallel()
	tests := []struct {
		typ    EventType
		status Status
		model  string
		stamp  string // the field of the object that holds when it came so far
		life   func(t *testing.T) (Snapshot, EventType)
	}{
		{BatchCreated, Validating, "", "created_at", func(*testing.T) (Snapshot, EventType) { return someBatch(), BatchCreated }},
		{BatchInProgress, InProgress, "org/m1", "in_progress_at", func(t *testing.T) (Snapshot, EventType) {
			s := someBatch()
			typ := must(t)(s.validated(&index{model: "org/m1", total: 10}, noon))
			return s, typ
		}},
		{BatchProgress, InProgress, "org/m1", "in_progress_at", func(t *testing.T) (Snapshot, EventType) {
			s := runningBatch(t, 10)
			typ := must(t)(s.Answered(Tally{Completed: 1, Failed: 1}, noon), nil)
			return s, typ
		}},
		{BatchCompleted, Completed, "org/m1", "completed_at", func(t *testing.T) (Snapshot, EventType) {
			s := runningBatch(t, 10)
			require.Empty(t, s.Answered(Tally{Completed: 10, Usage: providers.Usage{TotalTokens: 5}}, noon).Events)
			typ := must(t)(s.finalized(&File{ID: "file-2"}, nil, &s.Job, 0, noon))
			return s, typ
		}},
		{BatchFailed, Failed, "", "failed_at", func(t *testing.T) (Snapshot, EventType) {
			s := someBatch()
			typ := must(t)(s.validated(&index{errs: []LineError{{Code: "empty_file"}}}, noon))
			return s, typ
		}},
		{BatchExpired, Expired, "org/m1", "expired_at", func(t *testing.T) (Snapshot, EventType) {
			s := runningBatch(t, 10)
			fx, err := s.expire(noon)
			require.NoError(t, err)
			require.Empty(t, fx.Events)
			typ := must(t)(s.finalized(nil, &File{ID: "file-3"}, &s.Job, 10, noon))
			return s, typ
		}},
		{BatchCancelled, Cancelled, "org/m1", "cancelled_at", func(t *testing.T) (Snapshot, EventType) {
			s := runningBatch(t, 10)
			fx, err := s.cancel(noon)
			require.NoError(t, err)
			require.Empty(t, fx.Events)
			typ := must(t)(s.finalized(nil, nil, &s.Job, 0, noon))
			return s, typ
		}},
	}
	for _, tt := range tests {
		t.Run(string(tt.typ), func(t *testing.T) {
			t.Parallel()
			s, typ := tt.life(t)
			require.Equal(t, tt.typ, typ)
			object := s.Object()
			e := JobEvent(&s, typ, noon, wide)
			require.Equal(t, body(batchHead, e, "", "", object), string(e.Body))
			require.Equal(t, Event{
				ProjectID: "p", ID: e.ID, Type: tt.typ, JobID: "batch_1", Model: tt.model, Sequence: 1, CreatedAt: noon, Body: e.Body,
			}, e)
			require.Equal(t, string(tt.status), gjson.GetBytes(object, "status").String())
			require.EqualValues(t, noon.Unix(), gjson.GetBytes(object, tt.stamp).Int())
		})
	}
}

// TestGenerationEventBodies does the same for generations: model_output is a string in each of them.
func TestGenerationEventBodies(t *testing.T) {
	t.Parallel()
	refused := &providers.Error{Kind: providers.Rejected, Message: "no"}
	tests := []struct {
		name   string
		typ    EventType
		output string
		life   func(t *testing.T) (Snapshot, EventType)
	}{
		{"completed", GenerationCompleted, `y\"es`, func(t *testing.T) (Snapshot, EventType) {
			s := someGeneration(InProgress)
			got := &product{result: []byte(` { "choices":[{"message":{"content":"y\"es"}}], "big":9007199254740993 } `)}
			fx, err := s.generated(got, nil, noon)
			s.Result = fx.Result
			return s, must(t)(fx, err)
		}},
		{"completed without text", GenerationCompleted, "", func(t *testing.T) (Snapshot, EventType) {
			s := someGeneration(InProgress)
			fx, err := s.generated(&product{result: []byte(`{"choices":[{"message":{"content":null}}]}`)}, nil, noon)
			s.Result = fx.Result
			return s, must(t)(fx, err)
		}},
		{"failed", GenerationFailed, "", func(t *testing.T) (Snapshot, EventType) {
			s := someGeneration(InProgress)
			typ := must(t)(s.generated(nil, refused, noon))
			return s, typ
		}},
		{"cancelled", GenerationCancelled, "", func(t *testing.T) (Snapshot, EventType) {
			s := someGeneration(Queued)
			typ := must(t)(s.cancel(noon))
			return s, typ
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, typ := tt.life(t)
			require.Equal(t, tt.typ, typ)
			object := s.Object()
			e := JobEvent(&s, typ, noon, wide)
			require.Equal(t, body(generationHead, e, string(s.Status), tt.output, object), string(e.Body))
			require.Equal(t, "m1", e.Model)
		})
	}
}

// TestBegun fires with the first claim of a generation alone, under the number that the claim has counted.
func TestBegun(t *testing.T) {
	t.Parallel()
	claimed := someGeneration(InProgress)
	claimed.Sequence = 1
	e, fired := Begun(claimed.Job, noon, wide)
	require.True(t, fired)
	require.Equal(t, body(generationHead, e, "in_progress", "", claimed.Object()), string(e.Body))
	require.Equal(t, GenerationInProgress, e.Type)
	require.EqualValues(t, 1, e.Sequence)

	claimed.Attempt = 2
	_, fired = Begun(claimed.Job, noon, wide)
	require.False(t, fired, "a later attempt goes on")
	batch := someBatch()
	batch.Attempt = 1
	_, fired = Begun(batch.Job, noon, wide)
	require.False(t, fired, "a batch's first claim only validates it")
}

func TestFileEventBodies(t *testing.T) {
	t.Parallel()
	const object = `{"id":"file-1","object":"file","bytes":7,"created_at":1706140800,"expires_at":null,"filename":"in.jsonl","purpose":"batch","status":"processed","status_details":null}`
	for _, typ := range []EventType{FileCreated, FileDeleted} {
		f := File{ProjectID: "p", ID: "file-1", Filename: "in.jsonl", Purpose: PurposeBatch, Bytes: 7, CreatedAt: noon}
		if typ == FileDeleted {
			f.DeletedAt = noon
		}
		e := FileEvent(&f, typ, noon)
		require.Equal(t, body(fileHead, e, "", "", []byte(object)), string(e.Body))
		require.Equal(t, Event{ProjectID: "p", ID: e.ID, Type: typ, Sequence: 1, CreatedAt: noon, Body: e.Body}, e)
		require.EqualValues(t, 1, f.Sequence)
		require.EqualValues(t, 2, FileEvent(&f, FileDeleted, noon).Sequence)
	}
}

// TestFactEvent writes down facts of other packages: their scope, their keys and a test fire.
func TestFactEvent(t *testing.T) {
	t.Parallel()
	fact := Fact{
		ProjectID: "p", Type: "endpoint.disabled", SubjectID: "e1", Sequence: 3, Scope: ScopeCollection, At: noon,
		Object: []byte(`{ "a" : "<&>" }`),
	}
	head := func(e Event, keys, test string) string {
		return fmt.Sprintf(`{"id":"%[1]s","object":"event","type":"endpoint.disabled","created":1706140800,"created_at":1706140800,"event_id":"%[1]s","sequence":3,"cache_scope_to_invalidate":{"scope":"COLLECTION","keys":%[2]s}%[3]s,"data":{"id":"e1","object":`, e.ID, keys, test)
	}
	e := fact.Event()
	require.Equal(t, head(e, `["e1"]`, "")+`{ "a" : "<&>" }}}`, string(e.Body))
	fact.Keys, fact.Test, fact.Object = []string{"endpoints", "e1"}, true, nil
	fired := fact.Event()
	require.Equal(t, head(fired, `["endpoints","e1"]`, `,"test":true`)+`null}}`, string(fired.Body))
	require.NotEqual(t, e.ID, fired.ID)
	fact.Keys = []string{}
	require.Contains(t, string(fact.Event().Body), `"keys":[]`, "none is not the subject's")
}

// TestSequenceOverABatchsLife counts one by one, from the creation on, whatever else the row goes through.
func TestSequenceOverABatchsLife(t *testing.T) {
	t.Parallel()
	s := someBatch()
	now := noon
	var got []string
	fire := func(types ...EventType) {
		for _, typ := range types {
			e := JobEvent(&s, typ, now, wide)
			require.Equal(t, e.Sequence, s.Sequence)
			require.Equal(t, e.Sequence, gjson.GetBytes(e.Body, "sequence").Int())
			got = append(got, fmt.Sprintf("%d %s", e.Sequence, e.Type))
		}
	}
	fire(BatchCreated)
	fx, err := s.validated(&index{model: "m1", total: 20}, now)
	require.NoError(t, err)
	fire(fx.Events...)
	for range 20 {
		now = now.Add(3 * time.Second)
		require.Equal(t, s.Needs(Tally{Completed: 1}, now), s.Completed >= 19 || s.Completed%2 == 1, "%d", s.Completed)
		fire(s.Answered(Tally{Completed: 1}, now).Events...)
	}
	fx, err = s.finalized(nil, nil, &s.Job, 0, now)
	require.NoError(t, err)
	fire(fx.Events...)
	require.Equal(t, []string{
		"1 batch.created", "2 batch.in_progress", "3 batch.progress", "4 batch.progress", "5 batch.progress", "6 batch.progress",
		"7 batch.progress", "8 batch.progress", "9 batch.progress", "10 batch.progress", "11 batch.progress", "12 batch.completed",
	}, got)
}

// TestEventOverTheLimit drops the result, never the event, and says where the result is.
func TestEventOverTheLimit(t *testing.T) {
	t.Parallel()
	s := someGeneration(Completed)
	s.Result = []byte(`{"choices":[{"message":{"content":"` + strings.Repeat("x", 5000) + `"}}]}`)
	full := JobEvent(&s, GenerationCompleted, noon, EventLimits{})
	require.Equal(t, string(s.Object()), gjson.GetBytes(full.Body, "data.object").Raw)
	size := len(full.Body)

	fits := JobEvent(&s, GenerationCompleted, noon, EventLimits{Bytes: size, PublicURL: "https://ring.example"})
	require.Len(t, fits.Body, size, "as long as the limit is not over it")
	require.False(t, gjson.GetBytes(fits.Body, "response_omitted").Exists())

	omitted := JobEvent(&s, GenerationCompleted, noon, EventLimits{Bytes: size - 1, PublicURL: "https://ring.example"})
	without := s
	without.Result = nil
	head := strings.Replace(generationHead, `"data"`, `"response_omitted":true,"result_url":"https://ring.example/v1/jobs/gen_1","data"`, 1)
	head = strings.Replace(head, `"sequence":1`, `"sequence":3`, 1)
	require.Equal(t, body(head, omitted, "completed", "", without.Object()), string(omitted.Body))
	require.EqualValues(t, 3, s.Sequence, "an event that is written twice counts once")
	require.NotEmpty(t, s.Result, "the job itself keeps it")
}

func TestFailedBatchOverTheLimitDropsItsErrors(t *testing.T) {
	t.Parallel()
	s := someBatch()
	_, err := s.validated(&index{errs: []LineError{{Code: "empty_file", Message: strings.Repeat("x", 5000)}}}, noon)
	require.NoError(t, err)
	e := JobEvent(&s, BatchFailed, noon, EventLimits{Bytes: 4096, PublicURL: "https://ring.example"})
	require.Less(t, len(e.Body), 4096)
	require.True(t, gjson.GetBytes(e.Body, "response_omitted").Bool())
	require.Equal(t, "https://ring.example/v1/jobs/batch_1", gjson.GetBytes(e.Body, "result_url").String())
	require.Equal(t, "null", gjson.GetBytes(e.Body, "data.object.errors").Raw)
	require.True(t, bytes.Contains(s.Object(), []byte("empty_file")))
}
