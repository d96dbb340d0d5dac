package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/providers/simulator"
)

// kinds are submissions of every sort, with what the end of each is. The upstream makes a fine-tuning or a video in a
// moment, so that kills fall into each of their steps.
var kinds = []struct{ name, path, body, ended string }{
	{"tuning", "/v1/fine_tuning/jobs", `{"model":"sim-small","training_file":%q%s}`, "fine_tuning.job.succeeded"},
	{"response", "/v1/responses", `{"model":"sim-small","input":"hello?","background":true%s}`, "response.completed"},
	{"video", "/v1/jobs", `{"kind":"generation","path":"/v1/videos","body":{"model":"sim-small","prompt":"a"}%s}`, "generation.completed"},
	{"speech", "/v1/jobs", `{"kind":"generation","path":"/v1/audio/speech","body":{"model":"sim-small","voice":"alloy","input":"a b c","response_format":"wav"}%s}`, "generation.completed"},
	{"stream", "/v1/generate", `{"model":"sim-small","input":"hello?","stream":true%s}`, "generation.completed"},
	{"inline", "/v1/batches", `{"requests":[{"body":{"model":"sim-small","messages":[{"role":"user","content":"a"}]}}],"endpoint":"/v1/chat/completions","completion_window":"24h"%s}`, "batch.completed"},
}

// TestChaosOfEveryKind: the server is killed again and again while customers submit jobs of every kind. Each that was
// accepted ends once and well, its callback arrives, and the provider has made each fine-tuning and each video once.
func TestChaosOfEveryKind(t *testing.T) {
	up, setting := startSimulator(t, simulator.Options{TuneTime: 300 * time.Millisecond, MediaTime: 300 * time.Millisecond, TPOT: 2 * time.Millisecond},
		`, media: [{path: /v1/videos, fetch: "/v1/videos/{id}/content"}]`)
	hook := startReceiver(t)
	s := startServer(t, append(openCallbacks(), "simulator.enabled=false", setting, chaosSchedule)...)
	training := s.upload(http.StatusOK, part{"purpose", "", "fine-tune"}, part{"file", "train.jsonl", examples(12)}).get("id").String()

	random, stop := dice(t), make(chan struct{})
	var mu sync.Mutex
	url, accepted := s.url, map[string]int{} // by ID: the index of its kind
	present := func() *client {
		mu.Lock()
		defer mu.Unlock()
		return &client{t: t, http: s.http, url: url}
	}
	var customers sync.WaitGroup
	for n := range len(kinds) {
		customers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				case <-time.After(time.Duration(50+rand.IntN(100)) * time.Millisecond):
				}
				body := fmt.Sprintf(kinds[n].body, hook.field())
				if kinds[n].name == "tuning" {
					body = fmt.Sprintf(kinds[n].body, training, hook.field())
				}
				if id := insisting(t, present, kinds[n].path, body, fmt.Sprint(kinds[n].name, i)); id != "" {
					mu.Lock()
					accepted[id] = n
					mu.Unlock()
				}
			}
		})
	}
	for range chaosKills(t) {
		time.Sleep(time.Duration(random.IntN(1200)) * time.Millisecond) // the moment is the dice's
		s.kill9()
		s.restart()
		mu.Lock()
		url = s.url
		mu.Unlock()
	}
	close(stop)
	customers.Wait()
	made := map[string]int{}
	for id, n := range accepted {
		made[kinds[n].name]++
		hook.wait(id, kinds[n].ended)
	}
	ends := map[string]int{}
	for _, e := range s.events("") {
		if state := e.Get("type").String(); terminal(state[strings.LastIndexByte(state, '.')+1:]) {
			ends[e.Get("data.id").String()]++
		}
	}
	require.Len(t, ends, len(accepted), "each submission is one job")
	for id := range accepted {
		require.Equal(t, 1, ends[id], "the ends of %s", id)
	}
	require.EqualValues(t, made["video"], up.read("/healthz").get("videos").Int(), "videos at the provider")
	require.Equal(t, made["tuning"], tuningsAt(up), "fine-tunings at the provider")
	t.Logf("%v; each ended once, its callback arrived, and nothing was made twice", made)
}

// tuningsAt counts an upstream's fine-tunings.
func tuningsAt(up *client) (n int) {
	for after := ""; ; {
		page := up.read("/v1/fine_tuning/jobs?limit=100&after=" + after)
		jobs := page.get("data").Array()
		n += len(jobs)
		if !page.get("has_more").Bool() {
			return n
		}
		after = jobs[len(jobs)-1].Get("id").String()
	}
}

// insisting sends a submission with its key until it is answered, and gives the job's ID.
func insisting(t *testing.T, present func() *client, path, body, key string) string {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		a, err := present().do("POST", path, strings.NewReader(body), "Content-Type", "application/json", "Idempotency-Key", key)
		switch {
		case err == nil && a.status/100 == 2:
			return a.get("id").String()
		case err == nil && a.status != http.StatusConflict && a.status/100 != 5:
			t.Errorf("%s was answered %d: %s", path, a.status, a.body)
			return ""
		}
	}
	t.Errorf("%s was not answered for %s", path, patience)
	return ""
}
