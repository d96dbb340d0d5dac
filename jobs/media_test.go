package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/jobs"
	"github.com/ringback/ringback/providers"
)

const submission = "POST /v1/videos"

// video submits a job of the provider's own.
func (s *school) video(prompt string) jobs.Ref {
	s.t.Helper()
	created, err := s.service.CreateGeneration(s.t.Context(), jobs.NewGeneration{
		Submission: submitted(nil), Path: "/v1/videos", Model: "sim-small", Body: []byte(fmt.Sprintf(`{"model":"sim-small","prompt":%q}`, prompt)),
	})
	require.NoError(s.t, err)
	return created.Ref()
}

func (s *school) videos() int { return len(s.upstream("/v1/videos").Get("data").Array()) }

// during answers requests of a method and a path's beginning, as often as told, with a status and a body.
func (s *school) during(method, path string, times, status int, contentType, body string) {
	s.meddle(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != method || !strings.HasPrefix(r.URL.Path, path) || times == 0 {
			return false
		}
		times--
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
		return true
	})
}

const (
	isJSON = "application/json"
	gone   = `{"error":{"message":"no such video","code":"not_found"}}`
)

// TestAVideosLife: submitted once, polled, and its bytes fetched into a file.
func TestAVideosLife(t *testing.T) {
	t.Parallel()
	s := newSchool(t)
	ref := s.video("a cat")
	done := s.end(ref)
	require.Equal(t, jobs.Completed, done.Status, "%s", done.Object())
	result := gjson.GetBytes(done.Object(), "result")
	require.Equal(t, "video/mp4", result.Get("content_type").String())
	require.Equal(t, done.OutputFileID, result.Get("file_id").String())
	_, content, err := s.service.FileContent(t.Context(), jobs.Ref{ProjectID: "default", ID: done.OutputFileID})
	require.NoError(t, err)
	bytes, err := io.ReadAll(content)
	require.NoError(t, errors.Join(err, content.Close()))
	require.EqualValues(t, len(bytes), result.Get("bytes").Int())
	require.Equal(t, 1, s.count(submission))
}

// TestOddLooksEndNoVideo: a provider that says for a while that it knows nothing of the job, or nothing at all, goes on with
// it all the same. One that goes on saying so ends it, and the job is stopped there.
func TestOddLooksEndNoVideo(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status int
		body   string
	}{"unknown": {404, gone}, "forbidden": {401, gone}, "down": {503, gone}, "a page": {200, "<html>"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSchool(t)
			ref := s.video("a cat")
			s.until(ref, handed)
			s.during(http.MethodGet, "/v1/videos/", 5, tc.status, isJSON, tc.body)
			require.Equal(t, jobs.Completed, s.end(ref).Status)
			require.Equal(t, 1, s.count(submission))
		})
	}
	s := newSchool(t)
	ref := s.video("a cat")
	remote := s.until(ref, handed).Remote.Job
	s.during(http.MethodGet, "/v1/videos/", -1, 404, isJSON, gone)
	began := s.now()
	for range 2000 {
		if s.job(ref).Status.Terminal() {
			break
		}
		s.turn()
	}
	done := s.job(ref)
	require.Equal(t, jobs.Failed, done.Status)
	require.Greater(t, s.now().Sub(began), 10*time.Minute, "not at the first few")
	s.turn()
	require.Equal(t, 1, s.count("DELETE /v1/videos/"+remote), "what is given up here is stopped there")
	require.Zero(t, s.job(ref).DueAt, "nothing is left to do")
}

// TestVideosAreNotSubmittedForEver: a refusal is final, a server error is tried as often as any call's, and an answer of
// which the ID cannot be read means that it is there.
func TestVideosAreNotSubmittedForEver(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status      int
		contentType string
		body        string
		want        int
	}{
		"refused":      {400, isJSON, gone, 1},
		"server error": {500, isJSON, gone, 2},
		"a text":       {200, "text/plain", `{"id":"v"}`, 1},
		"no ID":        {200, isJSON, `{"video":"v"}`, 1},
		"a page":       {200, isJSON, "<html>", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSchool(t)
			s.during(http.MethodPost, "/v1/videos", -1, tc.status, tc.contentType, tc.body)
			require.Equal(t, jobs.Failed, s.end(s.video("a cat")).Status)
			require.Equal(t, tc.want, s.count(submission))
		})
	}
}

// TestVideosWaitForTheirProvider: taken out of the configuration, it keeps the job waiting; the job is not made again as a
// plain call, nor anywhere else.
func TestVideosWaitForTheirProvider(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*providers.Config){
		"no jobs of its own": func(c *providers.Config) { c.Media = nil },
		"no provider":        func(c *providers.Config) { c.Name = "another" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSchool(t)
			ref, cancelled := s.video("a cat"), s.video("a dog")
			s.until(ref, handed)
			s.until(cancelled, handed)
			configured, changed := s.registry, s.config
			change(&changed)
			var err error
			s.registry, err = providers.New(providers.Options{Providers: []providers.Config{changed}})
			require.NoError(t, err)
			s.kill()
			s.live()
			_, err = s.service.Cancel(t.Context(), cancelled)
			require.NoError(t, err)
			for range 20 {
				s.turn()
			}
			waiting := s.job(ref)
			require.Equal(t, jobs.InProgress, waiting.Status, "%s", waiting.Object())
			require.Equal(t, "provider_down", gjson.GetBytes(waiting.Object(), "blocked_by.reason").String())
			require.Equal(t, 2, s.count(submission), "the two at the beginning")
			s.registry = configured
			s.kill()
			s.live()
			require.Equal(t, jobs.Completed, s.end(ref).Status)
			s.until(cancelled, func(j jobs.Snapshot) bool { return j.DueAt == 0 })
			require.Equal(t, 1, s.count("DELETE /v1/videos/"+s.job(cancelled).Remote.Job))
		})
	}
}

// TestCancelledVideosAreStopped at their provider, whatever goes wrong on the way there.
func TestCancelledVideosAreStopped(t *testing.T) {
	t.Parallel()
	cancel := func(s *school, ref jobs.Ref) {
		_, err := s.service.Cancel(context.Background(), ref)
		require.NoError(s.t, err)
	}
	for name, act := range map[string]func(s *school, ref jobs.Ref){
		"while it runs": func(s *school, ref jobs.Ref) {
			s.until(ref, handed)
			cancel(s, ref)
		},
		"while it is submitted": func(s *school, ref jobs.Ref) {
			s.once(http.MethodPost, "/v1/videos", func() { cancel(s, ref) })
			s.end(ref)
		},
		"and the first word fails": func(s *school, ref jobs.Ref) {
			s.until(ref, handed)
			s.during(http.MethodDelete, "/v1/videos/", 2, 500, isJSON, gone)
			cancel(s, ref)
		},
		"and the first word is refused for the key": func(s *school, ref jobs.Ref) {
			s.until(ref, handed)
			s.during(http.MethodDelete, "/v1/videos/", 2, 401, isJSON, gone)
			cancel(s, ref)
		},
		"and a kill takes the ID": func(s *school, ref jobs.Ref) {
			s.killed = func(before, after *jobs.Job) bool { return before.Remote.Job == "" && after.Remote.Job != "" }
			s.turn()
			s.turn()
			s.killed = nil
			require.Equal(s.t, 1, s.videos())
			require.Empty(s.t, s.job(ref).Remote.Job)
			cancel(s, ref)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSchool(t)
			ref := s.video("a cat")
			act(s, ref)
			done := s.until(ref, func(j jobs.Snapshot) bool { return j.Status.Terminal() && j.DueAt == 0 && j.Owner == "" })
			require.Equal(t, jobs.Cancelled, done.Status)
			require.Zero(t, s.videos(), "none is left there")
		})
	}
}

// TestAVideoThatNeverEnds is given up after a week.
func TestAVideoThatNeverEnds(t *testing.T) {
	t.Parallel()
	s := newSchool(t)
	ref := s.video("a cat")
	s.until(ref, handed)
	s.during(http.MethodGet, "/v1/videos/", -1, 200, isJSON, `{"id":"v","status":"zombie"}`)
	s.later(6 * 24 * time.Hour)
	for range 5 {
		s.turn()
	}
	require.Equal(t, jobs.InProgress, s.job(ref).Status)
	s.later(2 * 24 * time.Hour)
	done := s.end(ref)
	require.Equal(t, jobs.Failed, done.Status)
	require.Contains(t, string(done.Errors), "zombie")
}

// TestUnreadableStreamsAreTries: a stream of which no answer can be made is the provider's failure, and ends as any does.
func TestUnreadableStreamsAreTries(t *testing.T) {
	t.Parallel()
	x := newExchange(t)
	x.answer = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: {\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":-1,\"delta\":{\"content\":\"x\"}}]}\n\ndata: [DONE]\n\n")
	}
	created, err := x.service.CreateGeneration(t.Context(), jobs.NewGeneration{
		Submission: submitted(nil), Path: "/v1/chat/completions", Model: "m1", Body: []byte(`{"model":"m1","stream":true,"messages":[]}`),
	})
	require.NoError(t, err)
	done := x.settle(created.Ref())
	require.Equal(t, jobs.Failed, done.Status)
	require.Equal(t, "invalid_answer", gjson.GetBytes(done.Object(), "error.code").String())
	require.EqualValues(t, 2, x.calls.Load(), "the call and its one retry")
}

// fullDisk takes nothing until it has been asked so often.
type fullDisk struct {
	jobs.Blobs
	left int
}

func (d *fullDisk) Put(ctx context.Context, key string, r io.Reader) (int64, error) {
	if d.left--; d.left >= 0 {
		return 0, errors.New("no space left on device")
	}
	return d.Blobs.Put(ctx, key, r)
}

// TestAFullDiskRepeatsNoCall: the answer is paid for, and kept as soon as there is room.
func TestAFullDiskRepeatsNoCall(t *testing.T) {
	t.Parallel()
	s := newSchool(t)
	s.work.Blobs = &fullDisk{s.files, 1}
	created, err := s.service.CreateGeneration(t.Context(), jobs.NewGeneration{
		Submission: submitted(nil), Path: "/v1/audio/speech", Model: "sim-small", Body: []byte(`{"model":"sim-small","voice":"alloy","input":"a","response_format":"wav"}`),
	})
	require.NoError(t, err)
	done := s.end(created.Ref())
	require.Equal(t, jobs.Completed, done.Status)
	require.NotEmpty(t, done.OutputFileID)
	require.Equal(t, 1, s.count("POST /v1/audio/speech"))
}
