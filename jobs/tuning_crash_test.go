package jobs_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/jobs"
)

// TestNothingIsMadeTwice kills the process before each commit of a fine-tuning's life in turn: whatever was made at the
// provider just before is found again, and no part of the life is missing or there twice.
func TestNothingIsMadeTwice(t *testing.T) {
	t.Parallel()
	for n := 1; ; n += 1 + n/10*4 { // the looks at a training are all alike
		var whole bool
		t.Run(fmt.Sprintf("before commit %d", n), func(t *testing.T) { whole = killedBefore(t, n) })
		if whole || t.Failed() {
			require.Greater(t, n, 8, "validation, two files, the creation, and what is seen of it")
			return
		}
	}
}

// killedBefore tells whether the life was over before its n-th commit.
func killedBefore(t *testing.T, n int) (whole bool) {
	s := newSchool(t)
	validation := s.examples(lessons(2))
	ref := s.tuning(fmt.Sprintf(`,"validation_file":%q,"metadata":{"k":"v"}`, validation), func(n *jobs.NewTuning) {
		n.ValidationFileID = validation
	})
	commits := 0
	s.killed = func(*jobs.Job, *jobs.Job) bool {
		commits++
		return commits == n
	}
	done := s.end(ref)
	require.Equal(t, jobs.Succeeded, done.Status, "%s", done.Object())
	require.Len(t, s.upstreamJobs(), 1)
	require.Equal(t, 1, s.count("POST /v1/fine_tuning/jobs"))
	require.Len(t, s.upstream("/v1/files?purpose=fine-tune").Get("data").Array(), 2)
	require.Equal(t, 2, s.count("POST /v1/files"))
	require.Equal(t, []string{"fine_tuning.job.created", "fine_tuning.job.running", "fine_tuning.job.succeeded"}, s.fired(ref))
	require.Len(t, done.Tuning.ResultFiles, 1)
	s.content(done.Tuning.ResultFiles[0])
	log := s.log(ref)
	require.Len(t, slices.Compact(slices.Sorted(slices.Values(log))), len(log), "each entry once: %v", log)
	for step := 1; step <= 20; step++ {
		begin := fmt.Sprintf("info Step %d/20: ", step)
		require.True(t, slices.ContainsFunc(log, func(e string) bool { return strings.HasPrefix(e, begin) }), begin)
	}
	checkpoints, _, err := s.store.Checkpoints(t.Context(), jobs.PartQuery{Job: ref, Limit: 10})
	require.NoError(t, err)
	require.Len(t, checkpoints, 3)
	models, err := s.store.Models(t.Context(), "default")
	require.NoError(t, err)
	require.Len(t, models, 1)
	return commits < n
}

// The answer to the create is lost, with and without a place for our mark in the metadata.
func TestALostAnswerToTheCreate(t *testing.T) {
	t.Parallel()
	full := `,"metadata":{"sim":"hang_create=1"`
	for i := range 15 {
		full += fmt.Sprintf(`,"k%d":"v"`, i)
	}
	for name, members := range map[string]string{"by its metadata": `,"metadata":{"sim":"hang_create=1"}`, "by its file": full + "}"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSchool(t)
			ref := s.tuning(members)
			require.Equal(t, jobs.Succeeded, s.end(ref).Status)
			require.Len(t, s.upstreamJobs(), 1)
			require.Equal(t, 1, s.count("POST /v1/fine_tuning/jobs"))
		})
	}
}

// The answer to an upload is lost.
func TestALostAnswerToAnUpload(t *testing.T) {
	t.Parallel()
	s := newSchool(t)
	ref := s.tuning("")
	s.meddle(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost || r.URL.Path != "/v1/files" {
			return false
		}
		s.simulator.ServeHTTP(deaf{}, r)
		s.meddle(nil)
		http.Error(w, "lost", http.StatusBadGateway)
		return true
	})
	require.Equal(t, jobs.Succeeded, s.end(ref).Status)
	require.Len(t, s.upstream("/v1/files?purpose=fine-tune").Get("data").Array(), 1)
	require.Equal(t, 1, s.count("POST /v1/files"))
}

// deaf is a client that has gone away.
type deaf struct{}

func (deaf) Header() http.Header         { return http.Header{} }
func (deaf) Write(p []byte) (int, error) { return len(p), nil }
func (deaf) WriteHeader(int)             {}

func TestFineTuningsByTheirMetadata(t *testing.T) {
	t.Parallel()
	s := newSchool(t)
	made := map[string]string{}
	for name, metadata := range map[string]string{
		"a1": `{"a":"1"}`, "a1b2": `{"b":"2","a":"1"}`, "odd": `{"a.b[\"c":"ü' OR 1=1 --"}`, "escaped": `{"k\u00e9y":"v\u00e9"}`, "none": "", "empty": "{}", "eight": `{"e":""}`,
	} {
		made[s.tuning("", func(n *jobs.NewTuning) {
			if metadata != "" {
				n.Metadata = []byte(metadata)
			}
		}).ID] = name
	}
	for _, tc := range []struct {
		pairs map[string]string
		none  bool
		want  []string
	}{
		{nil, false, []string{"a1", "a1b2", "eight", "empty", "escaped", "none", "odd"}},
		{map[string]string{"e": ""}, false, []string{"eight"}}, // eight bytes of text may look binary to SQLite
		{map[string]string{"a": "1"}, false, []string{"a1", "a1b2"}},
		{map[string]string{"a": "1", "b": "2"}, false, []string{"a1b2"}},
		{map[string]string{"a": "2"}, false, nil},
		{map[string]string{"A": "1"}, false, nil},
		{map[string]string{`a.b["c`: "ü' OR 1=1 --"}, false, []string{"odd"}},
		{map[string]string{"kéy": "vé"}, false, []string{"escaped"}},
		{nil, true, []string{"empty", "none"}},
	} {
		found, more, err := s.store.Jobs(t.Context(), jobs.JobQuery{
			ProjectID: "default", Kind: jobs.KindTuning, Metadata: tc.pairs, NoMetadata: tc.none, Limit: 100,
		})
		require.NoError(t, err)
		require.False(t, more)
		var names []string
		for i := range found {
			names = append(names, made[found[i].ID])
		}
		slices.Sort(names)
		require.Equal(t, tc.want, names, "%v", tc.pairs)
	}
}
