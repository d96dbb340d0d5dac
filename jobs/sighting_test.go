package jobs

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/providers"
)

func TestAProvidersLogNamesOurIDs(t *testing.T) {
	t.Parallel()
	j := Job{
		ProjectID: "default", ID: "ftjob-ours", InputFileID: "file-ours", ValidationFileID: "file-mine",
		Remote: Remote{Job: "ftjob-theirs", TrainingFile: "file-a", ValidationFile: "file-b"},
	}
	log := j.mirror([]providers.TuningEvent{
		{ID: "1", Message: "Created fine-tuning job: ftjob-theirs"},
		{ID: "2", Message: "Validating training file: file-a and validation file: file-b"},
		{ID: "3", Message: "Files validated, moving job to queued state"},
		{ID: "4", CreatedAt: 7, Level: "warn", Type: "message", Message: "ftjob-theirs skips file-a and file-b"},
	}, 0)
	require.Len(t, log, 1, "what the log says already is left out")
	require.Equal(t, "ftjob-ours skips file-ours and file-mine", log[0].Message)
	require.Equal(t, "4", log[0].RemoteID)
	require.EqualValues(t, 7000, log[0].CreatedAt)
	require.Equal(t, "warn", log[0].Level)
	require.Nil(t, log[0].Data)
}

func TestAProvidersLogIsBounded(t *testing.T) {
	t.Parallel()
	j := Job{ID: "ftjob-ours"}
	events := make([]providers.TuningEvent, 1500)
	for i := range events {
		events[i] = providers.TuningEvent{ID: "e", Message: "step"}
	}
	var log []TuningEvent
	for range 10 {
		log = append(log, j.mirror(events, 7)...)
	}
	require.Len(t, log, mostLogged+1, "the oldest, and one entry that says that there were more")
	require.Equal(t, "step", log[mostLogged-1].Message)
	require.Equal(t, "warn", log[mostLogged].Level)
	require.Contains(t, log[mostLogged].Message, "10000 entries")
}

func TestWhatTheProviderGets(t *testing.T) {
	t.Parallel()
	j := Job{ID: "ftjob-1", Remote: Remote{TrainingFile: "file-a", ValidationFile: "file-b"}}
	sixteen := `"k":"v"`
	for range 15 {
		sixteen += `,"k` + NewID("") + `":"v"`
	}
	for name, tc := range map[string]struct{ body, want string }{
		"plain":          {`{"model":"m","training_file":"x"}`, `{"model":"m","training_file":"file-a","metadata":{"ringback_job":"ftjob-1"}}`},
		"validation":     {`{ "training_file" : "x" , "validation_file":"y" }`, `{ "training_file":"file-a" , "validation_file":"file-b" ,"metadata":{"ringback_job":"ftjob-1"}}`},
		"no validation":  {`{"training_file":"x","validation_file":null,"n":1e2}`, `{"training_file":"file-a","validation_file":null,"n":1e2,"metadata":{"ringback_job":"ftjob-1"}}`},
		"metadata":       {`{"metadata": { "a" : "b" },"training_file":"x"}`, `{"metadata":{"ringback_job":"ftjob-1", "a" : "b" },"training_file":"file-a"}`},
		"empty metadata": {`{"metadata":{ },"training_file":"x"}`, `{"metadata":{"ringback_job":"ftjob-1"},"training_file":"file-a"}`},
		"null metadata":  {`{"metadata":null,"training_file":"x"}`, `{"metadata":{"ringback_job":"ftjob-1"},"training_file":"file-a"}`},
		"full metadata":  {`{"training_file":"x","metadata":{` + sixteen + `}}`, `{"training_file":"file-a","metadata":{` + sixteen + `}}`},
		"our key":        {`{"training_file":"x","metadata":{"a":"b", "ringback_job":"x","c":"d","ringb\u0061ck_job":"y"}}`, `{"training_file":"file-a","metadata":{"ringback_job":"ftjob-1","a":"b","c":"d"}}`},
		"our key alone":  {`{"training_file":"x","metadata":{"ringback_job":"x"}}`, `{"training_file":"file-a","metadata":{"ringback_job":"ftjob-1"}}`},
		"end":            {"{\"training_file\":\"x}\"}\n", "{\"training_file\":\"file-a\",\"metadata\":{\"ringback_job\":\"ftjob-1\"}}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, string(j.tuningBody([]byte(tc.body))))
		})
	}
}
