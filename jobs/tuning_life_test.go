package jobs_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/jobs"
	"github.com/ringback/ringback/rawjson"
)

func TestAFineTuningsLife(t *testing.T) {
	t.Parallel()
	s := newSchool(t)
	validation := s.examples(lessons(1))
	ref := s.tuning(fmt.Sprintf(`,"validation_file":%q,"suffix":"mine","seed":7,"metadata":{"k":"v"}`, validation), func(n *jobs.NewTuning) {
		n.ValidationFileID, n.Suffix, n.Seed, n.Metadata = validation, "mine", 7, []byte(`{"k":"v"}`)
	})
	s.until(ref, is(jobs.Queued))
	require.Empty(t, s.upstreamJobs(), "nothing is made before the files are sound")
	running := s.until(ref, is(jobs.Running))
	require.Positive(t, running.StartedAt)
	s.until(ref, func(s jobs.Snapshot) bool { return s.Completed > 0 })
	half := s.until(ref, func(s jobs.Snapshot) bool { return s.Completed >= 8 })
	shown := gjson.ParseBytes(half.Object())
	require.EqualValues(t, 20, shown.Get("progress.total_steps").Int())
	require.Positive(t, shown.Get("progress.metrics.train_loss").Float())
	require.Positive(t, shown.Get("estimated_finish").Int())
	require.Equal(t, shown.Get("estimated_finish").Int(), shown.Get("eta").Int())

	done := s.end(ref)
	require.Equal(t, jobs.Succeeded, done.Status, "%s", done.Object())
	o := gjson.ParseBytes(done.Object())
	model := o.Get("fine_tuned_model").String()
	require.Contains(t, model, ":mine:")
	require.Positive(t, o.Get("trained_tokens").Int())
	require.EqualValues(t, 7, o.Get("seed").Int())
	require.Equal(t, done.EndedAt.Unix(), o.Get("finished_at").Int())
	require.Equal(t, gjson.Null, o.Get("error").Type)
	s.requireUpstream(t, done)
	s.requireParts(t, done)
	require.Equal(t, []string{"fine_tuning.job.created", "fine_tuning.job.running", "fine_tuning.job.succeeded"}, s.fired(ref))
	require.Contains(t, s.events(ref), "fine_tuning.job.progress")
	s.requireModel(t, model)
}

// requireUpstream expects one job at the provider, with the provider's own file IDs and our mark.
func (s *school) requireUpstream(t *testing.T, done jobs.Snapshot) {
	t.Helper()
	all := s.upstreamJobs()
	require.Len(t, all, 1)
	require.Equal(t, fmt.Sprintf(`{"ringback_job":%q,"k":"v"}`, done.ID), all[0].Get("metadata").Raw)
	require.Equal(t, done.Remote.Job, all[0].Get("id").String())
	require.Equal(t, done.Remote.TrainingFile, all[0].Get("training_file").String())
	require.Equal(t, done.Remote.ValidationFile, all[0].Get("validation_file").String())
	require.Equal(t, "mine", all[0].Get("user_provided_suffix").String())
	var names []string
	for _, f := range s.upstream("/v1/files?purpose=fine-tune").Get("data").Array() {
		names = append(names, f.Get("filename").String())
	}
	slices.Sort(names)
	require.Equal(t, []string{done.ID + "-training_file.jsonl", done.ID + "-validation_file.jsonl"}, names)
}

// requireParts looks at the log, the checkpoints and the result file.
func (s *school) requireParts(t *testing.T, done jobs.Snapshot) {
	t.Helper()
	ref := done.Ref()
	log := s.log(ref)
	require.Equal(t, []string{
		"info Created fine-tuning job: " + ref.ID,
		"info Validating training file: " + done.InputFileID + " and validation file: " + done.ValidationFileID,
		"info Files validated, moving job to queued state",
		"info Fine-tuning job started",
	}, log[:4])
	require.Contains(t, log[4], "info Step 1/20: training loss=")
	require.Equal(t, []string{
		"info New fine-tuned model created: " + done.Tuning.Model, "info The job has successfully completed",
	}, log[len(log)-2:])
	unique := slices.Compact(slices.Sorted(slices.Values(log)))
	require.Len(t, unique, len(log), "each entry once: %v", log)

	page, more, err := s.store.TuningEvents(t.Context(), jobs.PartQuery{Job: ref, Limit: 2})
	require.NoError(t, err)
	require.True(t, more)
	rest, more, err := s.store.TuningEvents(t.Context(), jobs.PartQuery{Job: ref, Limit: 100, After: page[1].ID})
	require.NoError(t, err)
	require.False(t, more)
	require.Len(t, rest, len(log)-2)

	checkpoints, more, err := s.store.Checkpoints(t.Context(), jobs.PartQuery{Job: ref, Limit: 2})
	require.NoError(t, err)
	require.True(t, more)
	require.Greater(t, checkpoints[0].Step, checkpoints[1].Step)
	require.Positive(t, gjson.GetBytes(checkpoints[0].Metrics, "full_valid_loss").Float())
	last, more, err := s.store.Checkpoints(t.Context(), jobs.PartQuery{Job: ref, Limit: 2, After: checkpoints[1].ID})
	require.NoError(t, err)
	require.False(t, more)
	require.Len(t, last, 1)

	require.Len(t, done.Tuning.ResultFiles, 1)
	table := s.content(done.Tuning.ResultFiles[0])
	require.True(t, strings.HasPrefix(table, "step,train_loss,train_mean_token_accuracy,valid_loss,valid_mean_token_accuracy\n1,"), table)
	require.Len(t, strings.Split(strings.TrimSpace(table), "\n"), 21)
}

// requireModel lets the new model answer, and deletes it.
func (s *school) requireModel(t *testing.T, model string) {
	t.Helper()
	ask := jobs.NewGeneration{Path: "/v1/chat/completions", Model: model}
	ask.ProjectID = "default"
	ask.Body = fmt.Appendf(nil, `{"model":%q,"messages":[{"role":"user","content":"What is 3 times 2?"}]}`, model)
	created, err := s.service.CreateGeneration(t.Context(), ask)
	require.NoError(t, err)
	answered := s.end(created.Ref())
	require.Regexp(t, `^It is \d+\.$`, answered.ModelOutput(), "it answers as it was taught: %s", answered.Object())

	named := func() bool {
		all, err := s.service.Models(t.Context(), "default")
		require.NoError(t, err)
		require.True(t, slices.ContainsFunc(all, func(m jobs.ModelView) bool { return m.ID == "sim-small" }), "the provider's are there too")
		return slices.ContainsFunc(all, func(m jobs.ModelView) bool { return m.ID == model })
	}
	require.True(t, named())
	ref := jobs.Ref{ProjectID: "default", ID: model}
	require.True(t, jobs.IsCode(s.service.DeleteModel(t.Context(), jobs.Ref{ProjectID: "other", ID: model}), jobs.CodeForbidden))
	require.NoError(t, s.service.DeleteModel(t.Context(), ref))
	require.False(t, named())
	require.True(t, jobs.IsCode(s.service.DeleteModel(t.Context(), ref), jobs.CodeModel), "twice")
	_, err = s.service.CreateGeneration(t.Context(), ask)
	require.True(t, jobs.IsCode(err, jobs.CodeModel), "what is deleted is not called")
	require.True(t, jobs.IsCode(s.service.DeleteModel(t.Context(), jobs.Ref{ProjectID: "default", ID: "sim-small"}), jobs.CodeForbidden))
}

func TestAFineTuningWithBadFilesFails(t *testing.T) {
	t.Parallel()
	s := newSchool(t)
	for name, tc := range map[string]struct {
		training, validation, code, message, param string
	}{
		"too few":        {lessons(3), "", "invalid_n_examples", "Training file has 3 example(s), but must have at least 10 examples", "training_file"},
		"a bad line":     {lessons(12) + "{}\n", "", "invalid_training_file", "Training file has 1 line that cannot be used. Line 13: it is no example", "training_file"},
		"no validation":  {lessons(12), " ", "invalid_n_examples", "Validation file has 0 example(s)", "validation_file"},
		"another form":   {lessons(12), `{"prompt":"a","completion":"b"}`, "invalid_validation_file", "Line 1: it is a completions example, which this job does not learn from", "validation_file"},
		"bad validation": {lessons(12), "nope", "invalid_validation_file", "Line 1: it is not valid JSON at byte 2", "validation_file"},
	} {
		ref := s.tuning("", func(n *jobs.NewTuning) {
			if n.TrainingFileID = s.examples(tc.training); tc.validation != "" {
				n.ValidationFileID = s.examples(tc.validation)
			}
		})
		failed := s.end(ref)
		require.Equal(t, jobs.Failed, failed.Status, name)
		why := gjson.GetBytes(failed.Object(), "error")
		require.Equal(t, tc.code, why.Get("code").String(), name)
		require.Contains(t, why.Get("message").String(), tc.message, name)
		require.Equal(t, tc.param, why.Get("param").String(), name)
		require.Equal(t, []string{"fine_tuning.job.created", "fine_tuning.job.failed"}, s.fired(ref))
		require.Contains(t, s.log(ref)[2], "error The job failed: "+why.Get("message").String())
	}
	require.Empty(t, s.upstreamJobs())
	require.Zero(t, s.count("POST /v1/files"))
}

func TestDeletedFilesOfAFineTuning(t *testing.T) {
	t.Parallel()
	s := newSchool(t)
	ref := s.tuning("")
	require.NoError(t, s.service.DeleteFile(t.Context(), jobs.Ref{ProjectID: "default", ID: s.job(ref).InputFileID}))
	require.Equal(t, jobs.Succeeded, s.end(ref).Status, "the bytes stay for the job")

	gone := s.examples(lessons(12))
	ref = s.tuning("", func(n *jobs.NewTuning) { n.TrainingFileID = gone })
	f, err := s.store.File(t.Context(), jobs.Ref{ProjectID: "default", ID: gone})
	require.NoError(t, err)
	require.NoError(t, s.files.Remove(t.Context(), f.Blob)) // as if it had been deleted just before
	failed := s.end(ref)
	require.Equal(t, "invalid_training_file", gjson.GetBytes(failed.Object(), "error.code").String())
}

// upstreamStatus wants at most one job at the provider, and gives its state.
func (s *school) upstreamStatus() string {
	s.t.Helper()
	all := s.upstreamJobs()
	if len(all) == 0 {
		return ""
	}
	require.Len(s.t, all, 1)
	return all[0].Get("status").String()
}

func TestJ7AFineTuningIsCancelledInEachState(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		when     func(s *school, ref jobs.Ref)
		upstream string
	}{
		"validating files": {func(*school, jobs.Ref) {}, ""},
		"queued":           {func(s *school, ref jobs.Ref) { s.until(ref, is(jobs.Queued)) }, ""},
		"handed over":      {func(s *school, ref jobs.Ref) { s.until(ref, handed) }, "cancelled"},
		"running":          {func(s *school, ref jobs.Ref) { s.until(ref, is(jobs.Running)) }, "cancelled"},
		"paused, not handed over": {func(s *school, ref jobs.Ref) {
			s.until(ref, is(jobs.Queued))
			s.pause(ref)
		}, ""},
		"paused": {func(s *school, ref jobs.Ref) {
			s.until(ref, is(jobs.Running))
			s.pause(ref)
			s.until(ref, func(jobs.Snapshot) bool { return s.upstreamStatus() == "paused" })
		}, "cancelled"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSchool(t)
			ref := s.tuning("")
			tc.when(s, ref)
			for range 2 {
				cancelled, err := s.service.Cancel(t.Context(), ref)
				require.NoError(t, err)
				require.Equal(t, jobs.Cancelled, cancelled.Status)
			}
			s.until(ref, func(j jobs.Snapshot) bool { return j.DueAt == 0 })
			for range 5 {
				s.turn()
			}
			require.Equal(t, tc.upstream, s.upstreamStatus())
			end := s.fired(ref)
			require.Equal(t, "fine_tuning.job.cancelled", end[len(end)-1])
			require.Equal(t, jobs.Cancelled, s.job(ref).Status)
			require.Contains(t, s.log(ref), "info Fine-tuning job cancelled")
			_, err := s.service.PauseTuning(t.Context(), ref)
			require.True(t, jobs.IsCode(err, jobs.CodeInvalid))
		})
	}
}

// A create whose answer is lost may have made a job: a cancel that comes then finds it, however late it shows up.
func TestACancelFindsWhatWasMadeWithoutOurKnowing(t *testing.T) {
	t.Parallel()
	s := newSchool(t)
	ref := s.tuning(`,"metadata":{"sim":"hang_create=1"}`)
	s.until(ref, func(j jobs.Snapshot) bool { return len(s.upstreamJobs()) == 1 })
	require.Empty(t, s.job(ref).Remote.Job)
	s.meddle(func(w http.ResponseWriter, r *http.Request) bool { // it does not show up for a while
		if r.Method == http.MethodGet && r.URL.Path == "/v1/fine_tuning/jobs" && s.count("GET /v1/fine_tuning/jobs") < 8 {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"object":"list","data":[],"has_more":false}`)
			return true
		}
		return false
	})
	_, err := s.service.Cancel(t.Context(), ref)
	require.NoError(t, err)
	s.until(ref, func(j jobs.Snapshot) bool { return j.DueAt == 0 })
	require.Equal(t, "cancelled", s.upstreamStatus())
}

func (s *school) pause(ref jobs.Ref) {
	s.t.Helper()
	paused, err := s.service.PauseTuning(s.t.Context(), ref)
	require.NoError(s.t, err)
	require.Equal(s.t, jobs.Paused, paused.Status)
}

func (s *school) resume(ref jobs.Ref) {
	s.t.Helper()
	resumed, err := s.service.ResumeTuning(s.t.Context(), ref)
	require.NoError(s.t, err)
	require.Equal(s.t, jobs.Queued, resumed.Status)
}

func TestAPauseBeforeTheHandOver(t *testing.T) {
	t.Parallel()
	s := newSchool(t)
	ref := s.tuning("")
	s.until(ref, is(jobs.Queued))
	s.pause(ref)
	for range 20 {
		s.turn()
	}
	require.Equal(t, jobs.Paused, s.job(ref).Status)
	require.Empty(t, s.upstreamJobs())
	require.Zero(t, s.count("POST /v1/files"))
	s.resume(ref)
	require.Equal(t, jobs.Succeeded, s.end(ref).Status)
	require.Len(t, s.upstreamJobs(), 1)
}

// Pauses come in at each moment of the hand-over: while a file is sent, and while the job is created.
func TestAPauseDuringTheHandOver(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/v1/files", "/v1/fine_tuning/jobs"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			s := newSchool(t)
			ref := s.tuning("")
			s.until(ref, is(jobs.Queued))
			s.once(http.MethodPost, path, func() {
				if _, err := s.service.PauseTuning(t.Context(), ref); err != nil {
					t.Error(err)
				}
				s.turn() // others look for work meanwhile: there is none
			})
			s.turn()
			for range 20 {
				s.turn()
			}
			require.Equal(t, jobs.Paused, s.job(ref).Status)
			require.Equal(t, map[string]string{"/v1/files": "", "/v1/fine_tuning/jobs": "paused"}[path], s.upstreamStatus())
			s.resume(ref)
			require.Equal(t, jobs.Succeeded, s.end(ref).Status)
			require.Len(t, s.upstreamJobs(), 1)
			require.Len(t, s.upstream("/v1/files?purpose=fine-tune").Get("data").Array(), 1)
		})
	}
}

// A pause while an attempt to create has no known outcome looks for the job, and makes none.
func TestAPauseWhereTheJobMayBeThere(t *testing.T) {
	t.Parallel()
	s := newSchool(t)
	ref := s.tuning("")
	s.until(ref, is(jobs.Queued))
	s.meddle(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost && r.URL.Path == "/v1/fine_tuning/jobs" {
			http.Error(w, "no", http.StatusBadGateway)
			return true
		}
		return false
	})
	s.turn()
	require.Equal(t, jobs.MakingJob, s.job(ref).Remote.Making)
	s.pause(ref)
	s.meddle(nil)
	for range 20 {
		s.turn()
	}
	require.Empty(t, s.upstreamJobs())
	require.Equal(t, jobs.Paused, s.job(ref).Status)
	s.resume(ref)
	require.Equal(t, jobs.Succeeded, s.end(ref).Status)
	require.Len(t, s.upstreamJobs(), 1)
}

func TestAPauseWhileItRuns(t *testing.T) {
	t.Parallel()
	s := newSchool(t)
	ref := s.tuning("")
	s.until(ref, func(j jobs.Snapshot) bool { return j.Completed > 3 })
	s.pause(ref)
	s.until(ref, func(jobs.Snapshot) bool { return s.upstreamStatus() == "paused" })
	for range 60 {
		s.turn()
	}
	paused := s.job(ref)
	require.Equal(t, jobs.Paused, paused.Status)
	require.Less(t, paused.Completed, int64(20))
	s.resume(ref)
	s.until(ref, is(jobs.Running))
	done := s.end(ref)
	require.Equal(t, jobs.Succeeded, done.Status)
	require.Len(t, s.upstreamJobs(), 1)
	require.Subset(t, s.log(ref), []string{"info Fine-tuning job paused", "info Fine-tuning job resumed"})
	require.NotContains(t, strings.Join(s.log(ref), "\n"), "warn ")
}

// A pause that comes in while a look is under way is not undone by what that look has seen, and is told at once.
func TestAPauseDuringALook(t *testing.T) {
	t.Parallel()
	s := newSchool(t)
	ref := s.tuning("")
	running := s.until(ref, is(jobs.Running))
	came := false
	s.once(http.MethodGet, "/v1/fine_tuning/jobs/"+running.Remote.Job+"/events", func() {
		came = true
		if _, err := s.service.PauseTuning(t.Context(), ref); err != nil {
			t.Error(err)
		}
	})
	s.until(ref, func(jobs.Snapshot) bool { return came })
	for range 3 {
		require.Equal(t, jobs.Paused, s.job(ref).Status)
		s.turn()
	}
	require.Equal(t, "paused", s.upstreamStatus())
}

// A resume right after a pause wins, whatever of it the provider was told.
func TestAResumeRightAfterAPause(t *testing.T) {
	t.Parallel()
	s := newSchool(t)
	ref := s.tuning("")
	s.until(ref, is(jobs.Running))
	s.pause(ref)
	s.resume(ref)
	require.Equal(t, jobs.Succeeded, s.end(ref).Status)
	require.NotContains(t, strings.Join(s.log(ref), "\n"), "warn ")
}

func TestAProviderThatCannotPause(t *testing.T) {
	t.Parallel()
	s := newSchool(t)
	s.meddle(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/pause") {
			return false
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"error":{"message":"We never pause.","type":"invalid_request_error","param":null,"code":null}}`)
		return true
	})
	ref := s.tuning("")
	s.until(ref, is(jobs.Running))
	s.pause(ref)
	s.until(ref, is(jobs.Running))
	require.Contains(t, s.log(ref), "warn The provider did not pause the job: We never pause.")
	require.Equal(t, jobs.Succeeded, s.end(ref).Status)
}

func TestAProviderThatRefusesTheJob(t *testing.T) {
	t.Parallel()
	s := newSchool(t)
	ref := s.tuning("", func(n *jobs.NewTuning) {
		n.Model = "sim-embed"
		n.Body = []byte(strings.Replace(string(n.Body), "sim-small", "sim-embed", 1))
	})
	failed := s.end(ref)
	require.Equal(t, jobs.Failed, failed.Status)
	require.Contains(t, gjson.GetBytes(failed.Object(), "error.message").String(), "Model sim-embed is not available for fine-tuning", "the provider's own words")
	require.Equal(t, []string{"fine_tuning.job.created", "fine_tuning.job.failed"}, s.fired(ref))
}

func TestATrainingThatFails(t *testing.T) {
	t.Parallel()
	s := newSchool(t)
	ref := s.tuning(`,"metadata":{"sim":"fail_at=5"}`)
	failed := s.end(ref)
	require.Equal(t, jobs.Failed, failed.Status)
	why := gjson.GetBytes(failed.Object(), "error")
	require.Equal(t, "training_failed", why.Get("code").String())
	require.Equal(t, "Training failed at step 5.", why.Get("message").String())
	require.Equal(t, gjson.Null, why.Get("param").Type)
	require.EqualValues(t, 4, failed.Completed)
	require.Equal(t, []string{"fine_tuning.job.created", "fine_tuning.job.running", "fine_tuning.job.failed"}, s.fired(ref))
}

// TestOddTextsInALog are kept without what no database keeps, be they of a client's file or of the provider.
func TestOddTextsInALog(t *testing.T) {
	t.Parallel()
	s := newSchool(t)
	odd := s.end(s.tuning("", func(n *jobs.NewTuning) {
		n.TrainingFileID = s.examples(lessons(12) + `{"messages":[{"role":"a\u0000b","content":"x"}]}` + "\n")
	}))
	s.meddle(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost || r.URL.Path != "/v1/fine_tuning/jobs" {
			return false
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"error":{"message":"not \u0000so"}}`)
		return true
	})
	refused := s.end(s.tuning(""))
	said := append(s.log(odd.Ref()), s.log(refused.Ref())...)
	for _, entry := range said {
		require.True(t, rawjson.Storable(entry), "%q", entry)
	}
	t.Log(strings.Join(said, "\n"))
	require.Contains(t, said, "error The job failed: not so")
}

// While the provider is down a fine-tuning waits, and says so; then it goes on where it was.
func TestAFineTuningWaitsForItsProvider(t *testing.T) {
	t.Parallel()
	for name, when := range map[string]func(jobs.Snapshot) bool{"before the hand-over": is(jobs.Queued), "while it runs": is(jobs.Running)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSchool(t)
			ref := s.tuning("")
			s.until(ref, when)
			s.meddle(func(w http.ResponseWriter, _ *http.Request) bool {
				http.Error(w, "down", http.StatusServiceUnavailable)
				return true
			})
			blocked := s.until(ref, func(j jobs.Snapshot) bool { return j.Tries >= 3 })
			require.Equal(t, "provider_down", gjson.GetBytes(blocked.Object(), "blocked_by.reason").String())
			require.Positive(t, gjson.GetBytes(blocked.Object(), "blocked_by.until").Int())
			s.later(12 * time.Hour)
			s.turn()
			require.False(t, s.job(ref).Status.Terminal())
			s.meddle(nil)
			s.later(5 * time.Minute)
			done := s.end(ref)
			require.Equal(t, jobs.Succeeded, done.Status)
			require.Equal(t, gjson.Null, gjson.GetBytes(done.Object(), "blocked_by").Type)
			require.Len(t, s.upstreamJobs(), 1)
			require.Len(t, s.upstream("/v1/files?purpose=fine-tune").Get("data").Array(), 1)
		})
	}
}

// A provider that has neither a log nor the result file has made the model all the same.
func TestAPoorProvider(t *testing.T) {
	t.Parallel()
	s := newSchool(t)
	s.meddle(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/events") && !strings.HasSuffix(r.URL.Path, "/checkpoints") && !strings.HasSuffix(r.URL.Path, "/content") {
			return false
		}
		http.NotFound(w, r)
		return true
	})
	done := s.end(s.tuning(""))
	require.Equal(t, jobs.Succeeded, done.Status)
	require.NotEmpty(t, done.Tuning.Model)
	require.Empty(t, done.Tuning.ResultFiles)
}
