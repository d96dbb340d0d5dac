package jobs_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/jobs"
	"github.com/ringback/ringback/providers"
	"github.com/ringback/ringback/store"
)

const tuningsAt = "/v1/fine_tuning/jobs"

// aJob is the path of one job at the provider.
var aJob = regexp.MustCompile(`^/v1/fine_tuning/jobs/[^/]+$`)

func polls(r *http.Request) bool { return r.Method == http.MethodGet && aJob.MatchString(r.URL.Path) }

func isA(method, end string) func(*http.Request) bool {
	return func(r *http.Request) bool { return r.Method == method && strings.HasSuffix(r.URL.Path, end) }
}

// refuse answers some requests with a status and an error as OpenAI has it.
func (s *school) refuse(which func(*http.Request) bool, status int) {
	s.meddle(func(w http.ResponseWriter, r *http.Request) bool {
		if which(r) {
			refusal(w, status)
			return true
		}
		return false
	})
}

func refusal(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprint(w, `{"error":{"message":"We do not do that.","type":"invalid_request_error","param":null,"code":null}}`)
}

// reword changes what some requests are answered.
func (s *school) reword(which func(*http.Request) bool, change func(body string) string) {
	s.meddle(func(w http.ResponseWriter, r *http.Request) bool {
		if !which(r) {
			return false
		}
		said := httptest.NewRecorder()
		s.simulator.ServeHTTP(said, r)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(said.Code)
		fmt.Fprint(w, change(said.Body.String()))
		return true
	})
}

var aStatus = regexp.MustCompile(`"status":\s*"[a-z_]+"`)

// claim makes the provider say that its jobs are in a state.
func (s *school) claim(status string) {
	s.reword(polls, func(body string) string { return aStatus.ReplaceAllString(body, `"status":"`+status+`"`) })
}

// pass takes turns with pauses between them.
func (s *school) pass(turns int, pause time.Duration) {
	s.t.Helper()
	for range turns {
		s.later(pause)
		s.turn()
	}
}

// cancels counts the cancels at the provider.
func (s *school) cancels() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, asked := range s.asked {
		if strings.HasPrefix(asked, "POST ") && strings.HasSuffix(asked, "/cancel") {
			n++
		}
	}
	return n
}

func TestAProvidersOtherWordsForTheEnd(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]jobs.Status{
		"canceled": jobs.Cancelled, "Cancelled": jobs.Cancelled, "error": jobs.Failed, "expired": jobs.Failed, "Failed": jobs.Failed,
	} {
		t.Run(word, func(t *testing.T) {
			t.Parallel()
			s := newSchool(t)
			ref := s.tuning("")
			s.until(ref, is(jobs.Running))
			s.claim(word)
			ended := s.end(ref)
			require.Equal(t, want, ended.Status)
			require.Equal(t, "fine_tuning.job."+string(want), s.fired(ref)[2])
			require.Zero(t, ended.DueAt)
			require.Zero(t, s.cancels(), "the provider has said itself that it ended")
		})
	}
}

func TestAStateThatNobodyKnowsEnds(t *testing.T) {
	t.Parallel()
	s := newSchool(t)
	ref := s.tuning("")
	s.until(ref, is(jobs.Running))
	s.claim("Reticulating")
	s.pass(3, time.Minute) // takes over the events that are left
	s.pass(23, time.Hour)
	require.Equal(t, jobs.Running, s.job(ref).Status)
	s.pass(2, time.Hour)
	failed := s.job(ref)
	require.Equal(t, jobs.Failed, failed.Status)
	require.Equal(t, "unknown_status", gjson.GetBytes(failed.Object(), "error.code").String())
	require.Contains(t, gjson.GetBytes(failed.Object(), "error.message").String(), "'Reticulating'")
	s.pass(2, time.Second)
	require.Equal(t, 1, s.cancels(), "it is stopped at the provider")
	require.Zero(t, s.job(ref).DueAt)
}

func TestAStateThatNobodyKnowsGoesOnWithItsLog(t *testing.T) {
	t.Parallel()
	s := newSchool(t)
	ref := s.tuning("")
	s.until(ref, is(jobs.Running))
	n := 0
	s.meddle(func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case polls(r):
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"status":"reticulating"}`)
		case strings.HasSuffix(r.URL.Path, "/events"):
			n++
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, `{"data":[{"id":"e%d","message":"spline %d"}]}`, n, n)
		default:
			return false
		}
		return true
	})
	s.pass(80, time.Hour)
	require.Equal(t, jobs.Running, s.job(ref).Status)
	s.meddle(nil)
	require.Equal(t, jobs.Succeeded, s.end(ref).Status)
}

// Replicas of a provider may lag: a refused look is no end until it was refused again and again, over minutes.
func TestARefusedLookIsNoEnd(t *testing.T) {
	t.Parallel()
	for _, status := range []int{404, 400, 302} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			s := newSchool(t)
			ref := s.tuning("")
			s.until(ref, is(jobs.Running))
			s.refuse(polls, status)
			s.pass(30, 10*time.Second)
			require.Equal(t, jobs.Running, s.job(ref).Status)
			s.meddle(nil)
			s.later(5 * time.Minute)
			require.Equal(t, jobs.Succeeded, s.end(ref).Status)
		})
	}
}

func TestLooksThatAreRefusedForGoodAreTheEnd(t *testing.T) {
	t.Parallel()
	s := newSchool(t)
	ref := s.tuning("")
	s.until(ref, is(jobs.Running))
	s.refuse(polls, 404)
	begun := s.now()
	failed := s.until(ref, func(j jobs.Snapshot) bool {
		s.later(4 * time.Second)
		return j.Status.Terminal()
	})
	require.GreaterOrEqual(t, s.now().Sub(begun), 10*time.Minute)
	require.Equal(t, jobs.Failed, failed.Status)
	require.GreaterOrEqual(t, failed.Remote.Denied, 10)
	require.Equal(t, "We do not do that.", gjson.GetBytes(failed.Object(), "error.message").String())
	s.pass(2, time.Second)
	require.Equal(t, 1, s.cancels(), "it is stopped at the provider")
}

// A few refusals are no end either, however long the time between them was.
func TestAFewRefusedLooksAreNoEnd(t *testing.T) {
	t.Parallel()
	s := newSchool(t)
	ref := s.tuning("")
	s.until(ref, is(jobs.Running))
	s.refuse(polls, 404)
	s.pass(9, 15*time.Minute)
	require.Equal(t, 9, s.job(ref).Remote.Denied)
	require.Equal(t, jobs.Running, s.job(ref).Status)
	s.pass(1, 15*time.Minute)
	require.Equal(t, jobs.Failed, s.job(ref).Status)
}

// Refusals that are none in a row count from the beginning.
func TestALookBetweenRefusals(t *testing.T) {
	t.Parallel()
	s := newSchool(t)
	ref := s.tuning("")
	s.until(ref, is(jobs.Running))
	for range 4 {
		s.refuse(polls, 404)
		s.pass(5, 5*time.Minute)
		s.claim("running")
		s.pass(2, 5*time.Minute)
		require.Equal(t, jobs.Running, s.job(ref).Status)
		require.Zero(t, s.job(ref).Remote.Denied)
	}
}

// What a provider does not give beside the state neither holds the truth back nor changes it.
func TestSideReadsThatFail(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		part   string
		status int
		noted  string
	}{
		{"/checkpoints", 400, "checkpoints"},
		{"/checkpoints", 501, ""},
		{"/checkpoints", 503, "checkpoints"},
		{"/events", 500, "events"},
		{"/events", 429, "events"},
		{"/content", 500, "result files"},
		{"/content", 404, "result files"},
		{"/content", 401, "result files"},
	} {
		t.Run(fmt.Sprint(tc.part, tc.status), func(t *testing.T) {
			t.Parallel()
			s := newSchool(t)
			ref := s.tuning("")
			s.refuse(isA(http.MethodGet, tc.part), tc.status)
			s.until(ref, is(jobs.Running))
			begun := s.now()
			done := s.end(ref)
			require.Equal(t, jobs.Succeeded, done.Status)
			require.NotEmpty(t, done.Tuning.Model)
			require.Less(t, s.now().Sub(begun), 2*time.Minute)
			log := strings.Join(s.log(ref), "\n")
			if tc.noted == "" {
				require.NotContains(t, log, "warn ")
				return
			}
			require.Contains(t, log, "warn The provider did not give all that belongs to the job; what is missing: "+tc.noted)
		})
	}
}

// What is missing for a moment at the end is there a moment later.
func TestSideReadsAreTriedAgainAtTheEnd(t *testing.T) {
	t.Parallel()
	for _, part := range []string{"/checkpoints", "/events", "/content"} {
		t.Run(part, func(t *testing.T) {
			t.Parallel()
			s := newSchool(t)
			ref := s.tuning("")
			s.refuse(isA(http.MethodGet, part), 500)
			s.until(ref, func(j jobs.Snapshot) bool { return j.Remote.EndLooks == 3 })
			require.False(t, s.job(ref).Status.Terminal())
			s.meddle(nil)
			done := s.end(ref)
			require.Equal(t, jobs.Succeeded, done.Status)
			require.Len(t, done.Tuning.ResultFiles, 1)
			log := strings.Join(s.log(ref), "\n")
			require.NotContains(t, log, "warn ")
			require.Contains(t, log, "Step 20/20")
			checkpoints, _, err := s.store.Checkpoints(t.Context(), jobs.PartQuery{Job: ref, Limit: 10})
			require.NoError(t, err)
			require.Len(t, checkpoints, 3)
			s.content(done.Tuning.ResultFiles[0])
		})
	}
}

func TestFiguresThatCannotBeRead(t *testing.T) {
	t.Parallel()
	s := newSchool(t)
	s.reword(polls, func(body string) string {
		return strings.Replace(body, "{", `{"estimated_finish":1795.5,"seed":"42","trained_tokens":[],"hyperparameters":7,`, 1)
	})
	require.Equal(t, jobs.Succeeded, s.end(s.tuning("")).Status)
}

// A wish that cannot be told hides neither the state nor itself.
func TestAPauseThatCannotBeTold(t *testing.T) {
	t.Parallel()
	t.Run("not implemented", func(t *testing.T) {
		t.Parallel()
		s := newSchool(t)
		ref := s.tuning("")
		s.until(ref, is(jobs.Running))
		s.refuse(isA(http.MethodPost, "/pause"), 501)
		s.pause(ref)
		s.until(ref, is(jobs.Running))
		require.Contains(t, s.log(ref), "warn The provider did not pause the job: We do not do that.")
		require.Equal(t, jobs.Succeeded, s.end(ref).Status)
	})
	t.Run("for a while", func(t *testing.T) {
		t.Parallel()
		s := newSchool(t)
		ref := s.tuning("")
		s.until(ref, is(jobs.Running))
		s.refuse(isA(http.MethodPost, "/pause"), 500)
		s.pause(ref)
		s.until(ref, func(j jobs.Snapshot) bool { return j.Remote.Untold == 2 })
		require.Equal(t, jobs.Paused, s.job(ref).Status)
		s.meddle(nil)
		s.until(ref, func(j jobs.Snapshot) bool { return j.Tuning.Wish == "" })
		require.Equal(t, "paused", s.upstreamStatus())
		require.NotContains(t, strings.Join(s.log(ref), "\n"), "warn ")
	})
	t.Run("until it has ended there", func(t *testing.T) {
		t.Parallel()
		s := newSchool(t)
		ref := s.tuning("")
		s.until(ref, is(jobs.Running))
		s.refuse(isA(http.MethodPost, "/pause"), 500)
		s.pause(ref)
		require.Equal(t, jobs.Succeeded, s.end(ref).Status)
	})
	t.Run("for ever", func(t *testing.T) {
		t.Parallel()
		s := newSchool(t)
		ref := s.tuning("")
		s.until(ref, is(jobs.Running))
		s.meddle(func(w http.ResponseWriter, r *http.Request) bool {
			if polls(r) {
				w.Header().Set("Content-Type", "application/json")
				fmt.Fprint(w, `{"status":"running"}`)
				return true
			}
			if isA(http.MethodPost, "/pause")(r) {
				refusal(w, http.StatusInternalServerError)
				return true
			}
			return false
		})
		s.pause(ref)
		s.until(ref, is(jobs.Running))
		require.Contains(t, s.log(ref), "warn The provider did not pause the job: We do not do that.")
	})
}

// What is given up here, while it may go on at the provider, is stopped there.
func TestWhatIsGivenUpIsStopped(t *testing.T) {
	t.Parallel()
	t.Run("while its ID is not known", func(t *testing.T) {
		t.Parallel()
		s := newSchool(t)
		ref := s.tuning("")
		s.until(ref, is(jobs.Queued))
		s.loseCreates(tuningsAt)
		s.until(ref, func(jobs.Snapshot) bool { return len(s.upstreamJobs()) == 1 })
		s.refuse(func(r *http.Request) bool { return r.Method == http.MethodGet && r.URL.Path == tuningsAt }, 400)
		failed := s.end(ref)
		require.Equal(t, jobs.Failed, failed.Status)
		require.Positive(t, failed.DueAt)
		s.meddle(nil)
		s.until(ref, func(j jobs.Snapshot) bool { return j.DueAt == 0 })
		require.Equal(t, "cancelled", s.upstreamStatus())
	})
	t.Run("after a day of refusals", func(t *testing.T) {
		t.Parallel()
		s := newSchool(t)
		ref := s.tuning("")
		s.until(ref, is(jobs.Running))
		s.refuse(polls, 401)
		s.pass(150, 5*time.Minute)
		require.Equal(t, jobs.Running, s.job(ref).Status)
		s.pass(160, 5*time.Minute)
		require.Equal(t, jobs.Failed, s.job(ref).Status)
		require.Equal(t, 1, s.cancels())
	})
	t.Run("not where the provider has said so", func(t *testing.T) {
		t.Parallel()
		s := newSchool(t)
		failed := s.end(s.tuning(`,"metadata":{"sim":"fail_at=5"}`))
		require.Equal(t, jobs.Failed, failed.Status)
		require.Zero(t, failed.DueAt)
	})
	t.Run("not where nothing was made", func(t *testing.T) {
		t.Parallel()
		s := newSchool(t)
		s.refuse(isA(http.MethodPost, tuningsAt), 400)
		failed := s.end(s.tuning(""))
		require.Equal(t, jobs.Failed, failed.Status)
		require.Zero(t, failed.DueAt)
	})
}

// Only the provider's word that there is nothing to cancel ends a cancel.
func TestACancelIsToldUntilItIsHeard(t *testing.T) {
	t.Parallel()
	for _, status := range []int{401, 403, 402, 302, 500, 409} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			s := newSchool(t)
			ref := s.tuning("")
			s.until(ref, is(jobs.Running))
			s.refuse(isA(http.MethodPost, "/cancel"), status)
			_, err := s.service.Cancel(t.Context(), ref)
			require.NoError(t, err)
			s.pass(15, 5*time.Minute) // over an hour
			require.Positive(t, s.job(ref).DueAt)
			told := s.cancels()
			s.meddle(nil)
			s.later(5 * time.Minute)
			s.until(ref, func(j jobs.Snapshot) bool { return j.DueAt == 0 })
			require.Equal(t, told+1, s.cancels())
		})
	}
}

func TestACancelIsNotToldForEver(t *testing.T) {
	t.Parallel()
	s := newSchool(t)
	ref := s.tuning("")
	s.until(ref, is(jobs.Running))
	s.refuse(isA(http.MethodPost, "/cancel"), 503)
	_, err := s.service.Cancel(t.Context(), ref)
	require.NoError(t, err)
	s.pass(200, 5*time.Minute)
	require.Positive(t, s.job(ref).DueAt)
	s.pass(150, 5*time.Minute)
	require.Zero(t, s.job(ref).DueAt, "over a day")
}

// loseCreates makes what is posted to a path, and loses the answer.
func (s *school) loseCreates(path string) {
	s.meddle(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost || r.URL.Path != path {
			return false
		}
		s.simulator.ServeHTTP(deaf{}, r)
		http.Error(w, "lost", http.StatusBadGateway)
		return true
	})
}

// hide makes lists empty for so many looks.
func (s *school) hide(path string, looks int) {
	s.meddle(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || r.URL.Path != path || looks == 0 {
			return false
		}
		looks--
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"object":"list","data":[],"has_more":false}`)
		return true
	})
}

// A list that lags behind what was made is looked at several times, before it is made again.
func TestAListThatLags(t *testing.T) {
	t.Parallel()
	for path, looks := range map[string]int{tuningsAt: 6, "/v1/files": 3} { // a look at jobs is two requests
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			s := newSchool(t)
			ref := s.tuning("")
			s.until(ref, is(jobs.Queued))
			s.loseCreates(path)
			s.until(ref, func(jobs.Snapshot) bool { return s.count("POST "+path) == 1 })
			s.hide(path, looks)
			require.Equal(t, jobs.Succeeded, s.end(ref).Status)
			require.Equal(t, 1, s.count("POST "+path))
			require.Len(t, s.upstreamJobs(), 1)
			require.Len(t, s.upstream("/v1/files?purpose=fine-tune").Get("data").Array(), 1)
		})
	}
}

// A cancel looks as often as ever, however often it was looked for before.
func TestACancelBeginsToLookAnew(t *testing.T) {
	t.Parallel()
	s := newSchool(t)
	ref := s.tuning("")
	s.until(ref, is(jobs.Queued))
	s.loseCreates(tuningsAt)
	s.until(ref, func(jobs.Snapshot) bool { return s.count("POST "+tuningsAt) == 1 })
	s.hide(tuningsAt, -1)
	s.until(ref, func(j jobs.Snapshot) bool { return j.Remote.Looks == 3 })
	cancelled, err := s.service.Cancel(t.Context(), ref)
	require.NoError(t, err)
	require.Zero(t, cancelled.Remote.Looks)
	s.until(ref, func(j jobs.Snapshot) bool { return j.Remote.Looks == 3 })
	s.refuse(isA(http.MethodPost, "/cancel"), 503)
	found := s.until(ref, handed)
	require.Equal(t, 1, found.Remote.Looks, "and is told as often as ever")
	s.meddle(nil)
	s.until(ref, func(j jobs.Snapshot) bool { return j.DueAt == 0 })
	require.Len(t, s.upstreamJobs(), 1)
}

// What was not made after all is made after half a minute of looking.
func TestACreateThatMadeNothing(t *testing.T) {
	t.Parallel()
	for _, path := range []string{tuningsAt, "/v1/files"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			s := newSchool(t)
			ref := s.tuning("")
			s.until(ref, is(jobs.Queued))
			s.refuse(func(r *http.Request) bool { return r.Method == http.MethodPost && r.URL.Path == path }, 502)
			s.until(ref, func(jobs.Snapshot) bool { return s.count("POST "+path) == 1 })
			begun := s.now()
			s.meddle(nil)
			s.until(ref, func(jobs.Snapshot) bool { return s.count("POST "+path) == 2 })
			require.Greater(t, s.now().Sub(begun), 20*time.Second)
			require.Less(t, s.now().Sub(begun), time.Minute)
			require.Equal(t, jobs.Succeeded, s.end(ref).Status)
		})
	}
}

// A provider that says no has made nothing: nothing is looked for.
func TestADefiniteRefusalNeedsNoLook(t *testing.T) {
	t.Parallel()
	for _, path := range []string{tuningsAt, "/v1/files"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			s := newSchool(t)
			ref := s.tuning("")
			s.until(ref, is(jobs.Queued))
			s.refuse(func(r *http.Request) bool { return r.Method == http.MethodPost && r.URL.Path == path }, 429)
			s.until(ref, func(jobs.Snapshot) bool { return s.count("POST "+path) == 3 })
			require.Empty(t, s.job(ref).Remote.Making)
			s.meddle(nil)
			require.Equal(t, jobs.Succeeded, s.end(ref).Status)
			require.Zero(t, s.count("GET "+path))
		})
	}
}

// What may be there is not forgotten over a pause, however long the list lags.
func TestAPauseRemembersWhatMayBeThere(t *testing.T) {
	t.Parallel()
	s := newSchool(t)
	ref := s.tuning("")
	s.until(ref, is(jobs.Queued))
	s.loseCreates(tuningsAt)
	s.until(ref, func(jobs.Snapshot) bool { return s.count("POST "+tuningsAt) == 1 })
	s.pause(ref)
	s.hide(tuningsAt, -1)
	s.until(ref, func(j jobs.Snapshot) bool { return j.DueAt == 0 })
	require.Equal(t, jobs.MakingJob, s.job(ref).Remote.Making)
	s.meddle(nil)
	s.resume(ref)
	require.Equal(t, jobs.Succeeded, s.end(ref).Status)
	require.Equal(t, 1, s.count("POST "+tuningsAt))
}

// A provider without a list of files gets the file again, and the job goes on.
func TestAProviderWithoutAListOfFiles(t *testing.T) {
	t.Parallel()
	for _, status := range []int{404, 405} {
		s := newSchool(t)
		ref := s.tuning("")
		s.until(ref, is(jobs.Queued))
		s.loseCreates("/v1/files")
		s.until(ref, func(jobs.Snapshot) bool { return s.count("POST /v1/files") == 1 })
		s.refuse(isA(http.MethodGet, "/v1/files"), status)
		require.Equal(t, jobs.Succeeded, s.end(ref).Status)
		require.Equal(t, 2, s.count("POST /v1/files"))
	}
}

func TestASuccessWithoutAModel(t *testing.T) {
	t.Parallel()
	nameless := func(s *school) {
		s.reword(polls, func(body string) string {
			return regexp.MustCompile(`"fine_tuned_model":\s*"[^"]*"`).ReplaceAllString(body, `"fine_tuned_model":null`)
		})
	}
	t.Run("for a moment", func(t *testing.T) {
		t.Parallel()
		s := newSchool(t)
		ref := s.tuning("")
		nameless(s)
		s.until(ref, func(j jobs.Snapshot) bool { return j.Remote.EndLooks == 3 })
		s.meddle(nil)
		done := s.end(ref)
		require.Equal(t, jobs.Succeeded, done.Status)
		require.NotEmpty(t, done.Tuning.Model)
		require.Len(t, done.Tuning.ResultFiles, 1)
	})
	t.Run("for ever", func(t *testing.T) {
		t.Parallel()
		s := newSchool(t)
		ref := s.tuning("")
		nameless(s)
		failed := s.end(ref)
		require.Equal(t, jobs.Failed, failed.Status)
		require.Equal(t, "no_model", gjson.GetBytes(failed.Object(), "error.code").String())
		require.Equal(t, 5, failed.Remote.EndLooks)
		require.Zero(t, failed.DueAt)
	})
}

// A client's own pair under our key does not take our mark's place.
func TestAClientsPairUnderOurKey(t *testing.T) {
	t.Parallel()
	s := newSchool(t)
	done := s.end(s.tuning(`,"metadata":{"sim":"hang_create=1","ringback_job":"theirs"}`))
	require.Equal(t, jobs.Succeeded, done.Status)
	require.Len(t, s.upstreamJobs(), 1)
	require.Equal(t, fmt.Sprintf(`{"ringback_job":%q,"sim":"hang_create=1"}`, done.ID), s.upstreamJobs()[0].Get("metadata").Raw)
}

// made has two models that fine-tunings have made, one of them deleted.
type made struct{ *store.Store }

func (made) Model(_ context.Context, ref jobs.Ref) (jobs.Model, error) {
	switch ref.ID {
	case "ft:ours":
		return jobs.Model{ProjectID: ref.ProjectID, ID: ref.ID}, nil
	case "ft:deleted":
		return jobs.Model{ProjectID: ref.ProjectID, ID: ref.ID, DeletedAt: 1}, nil
	}
	return jobs.Model{}, jobs.NotFound("No model.")
}

// One model is looked for where it is, however mute other providers are.
func TestOneModelWaitsForNoOtherProvider(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 10)
	serve := func(name, answer string) providers.Config {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked <- name
			if answer == "" {
				<-r.Context().Done()
				return
			}
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, answer)
		}))
		t.Cleanup(server.Close)
		return providers.Config{Name: name, BaseURL: server.URL + "/v1", Models: []string{name + "-*"}, Timeout: time.Minute}
	}
	registry, err := providers.New(providers.Options{Providers: []providers.Config{
		serve("mute", ""), serve("good", `{"data":[{"id":"good-1"},{"id":"mute-1"}]}`),
	}})
	require.NoError(t, err)
	t.Cleanup(registry.Close)
	x := newExchange(t)
	service := jobs.NewService(jobs.ServiceOptions{Records: made{x.store}, Router: registry, Watchers: jobs.NewWatchers(), Now: time.Now})
	find := func(id string) error {
		m, err := service.Model(t.Context(), jobs.Ref{ProjectID: "default", ID: id})
		if err == nil {
			require.Equal(t, id, m.ID)
		}
		return err
	}
	require.NoError(t, find("ft:ours"))
	require.True(t, jobs.IsCode(find("ft:deleted"), jobs.CodeModel))
	require.True(t, jobs.IsCode(find("nobodys"), jobs.CodeModel))
	require.Empty(t, asked, "the rows and the patterns tell")
	require.NoError(t, find("good-1"))
	require.True(t, jobs.IsCode(find("good-2"), jobs.CodeModel))
	close(asked)
	require.Equal(t, []string{"good", "good"}, slices.Collect(func(yield func(string) bool) {
		for name := range asked {
			if !yield(name) {
				return
			}
		}
	}))
}
