package examples

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What is signed well is taken; what is not is refused and leaves nothing behind.
func TestVerification(t *testing.T) {
	now := time.Now()
	good := callback("evt_good", "job_1", 1, "batch.completed")
	tampered := good
	tampered.body = strings.Replace(good.body, "batch.completed", "batch.failed", 1)
	v1a := "v1a," + base64.StdEncoding.EncodeToString(make([]byte, 64))
	rows := []struct {
		name string
		m    message
		want int
	}{
		{"good", good, 204},
		{"the other secret of a rotation", signed("evt_second", good.body, now, secondSecret), 204},
		{"two signatures, the first unknown", signed("evt_two", good.body, now, otherSecret, secondSecret), 204},
		{"two signatures, the last unknown", signed("evt_first", good.body, now, firstSecret, otherSecret), 204},
		{"v1a before it", signed("evt_v1a", good.body, now, v1a, firstSecret), 204},
		{"v1a behind it", signed("evt_v1a_2", good.body, now, firstSecret, v1a), 204},
		{"nearly stale", signed("evt_old", good.body, now.Add(-4*time.Minute), firstSecret), 204},
		{"a clock that is fast", signed("evt_fast", good.body, now.Add(4*time.Minute), firstSecret), 204},
		{"300 KB", signed("evt_large", `{"type":"a","sequence":2,"data":{"id":"job_1","x":"`+strings.Repeat("é", 150_000)+`"}}`, now, firstSecret), 204},
		{"of no job", signed("evt_test", `{"type":"webhook.test","data":{}}`, now, firstSecret), 204},

		{"an unknown secret", signed("bad_secret", good.body, now, otherSecret), 401},
		{"an empty key", signed("bad_empty", good.body, now, "whsec_"), 401},
		{"another body", tampered, 401},
		{"another ID", good.with("Webhook-Id", "bad_id"), 401},
		{"another time", good.with("Webhook-Timestamp", strconv.FormatInt(now.Unix()+1, 10)), 401},
		{"stale", signed("bad_stale", good.body, now.Add(-10*time.Minute), firstSecret), 401},
		{"in the future", signed("bad_future", good.body, now.Add(10*time.Minute), firstSecret), 401},
		{"no time", good.with("Webhook-Timestamp", "soon"), 401},
		{"a time without end", good.with("Webhook-Timestamp", strings.Repeat("9", 5000)), 401},
		{"v1a alone", signed("bad_v1a", good.body, now, v1a), 401},
		{"v1 without a signature", good.with("Webhook-Signature", "v1,"), 401},
		{"a signature without v1", good.with("Webhook-Signature", strings.TrimPrefix(good.headers.Get("Webhook-Signature"), "v1,")), 401},
		{"a signature beyond ASCII", good.with("Webhook-Signature", "v1,"+strings.Repeat("é", 22)), 401},
		{"without an ID", good.with("Webhook-Id", ""), 401},
		{"without a time", good.with("Webhook-Timestamp", ""), 401},
		{"without a signature", good.with("Webhook-Signature", ""), 401},
		{"over the bound", signed("bad_long", `"`+strings.Repeat("x", 2<<20)+`"`, now, firstSecret), 413},
		{"no JSON", signed("bad_text", "hello", now, firstSecret), 400},
		{"no event", signed("bad_list", "[]", now, firstSecret), 400},
	}
	forEach(t, func(t *testing.T, k kind) {
		data := t.TempDir()
		p := k.start(t, data)
		var taken []string
		for _, row := range rows {
			require.Equal(t, row.want, p.post(row.m), row.name)
			if row.want == http.StatusNoContent {
				taken = append(taken, row.m.id)
			}
		}
		got := k.stored(t, data)
		got.once(t, taken...)
		require.Equal(t, rows[0].m.body, got.bodies["evt_good"], "the body is kept byte for byte")
		require.Len(t, got.bodies["evt_large"], len(rows[8].m.body))
	})
}

func TestOtherMethodsAreRefused(t *testing.T) {
	forEach(t, func(t *testing.T, k kind) {
		data := t.TempDir()
		p := k.start(t, data)
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodOptions} {
			status, err := p.try(method, callback("evt_1", "job_1", 1, "batch.completed"))
			require.NoError(t, err)
			require.Equal(t, http.StatusMethodNotAllowed, status, method)
		}
		p.delivers(callback("evt_2", "job_1", 1, "batch.completed"))
		k.stored(t, data).once(t, "evt_2")
	})
}

// A repeat is answered as the first was, and counts no more: one after the other, at the same time, and after kill -9.
func TestRepeatsCountOnce(t *testing.T) {
	forEach(t, func(t *testing.T, k kind) {
		data := t.TempDir()
		p := k.start(t, data)
		for range 3 {
			p.delivers(callback("evt_1", "job_1", 1, "batch.completed"))
		}
		atOnce(t, 50, func() (int, error) { return p.try(http.MethodPost, callback("evt_2", "job_2", 1, "batch.completed")) })
		k.stored(t, data).once(t, "evt_1", "evt_2")
		p.kill()
		p = k.start(t, data)
		p.delivers(callback("evt_2", "job_2", 1, "batch.completed"))
		p.delivers(callback("evt_3", "job_3", 1, "batch.completed"))
		k.stored(t, data).once(t, "evt_1", "evt_2", "evt_3")
	})
}

// atOnce makes n requests at the same time, and each has to be taken.
func atOnce(t *testing.T, n int, request func() (int, error)) {
	t.Helper()
	var all sync.WaitGroup
	start, answers := make(chan struct{}), make(chan any, n)
	for range n {
		all.Go(func() {
			<-start
			status, err := request()
			if err != nil {
				answers <- err
				return
			}
			answers <- status
		})
	}
	close(start)
	all.Wait()
	close(answers)
	for a := range answers {
		require.Equal(t, http.StatusNoContent, a)
	}
}

// The Python receiver's promise that several processes may share its file.
func TestProcessesShareADatabase(t *testing.T) {
	t.Parallel()
	k, data := kinds()[1], t.TempDir()
	both := []*process{k.start(t, data), k.start(t, data)}
	var next atomic.Int64
	atOnce(t, 40, func() (int, error) {
		n := int(next.Add(1))
		return both[n%2].try(http.MethodPost, callback("evt_"+strconv.Itoa(n/4), "job_1", n/4+1, "batch.progress"))
	})
	require.Len(t, k.stored(t, data).times, 11)
}

// An event that comes late is kept, and its job stays as the newer one left it: also across a restart.
func TestLateEventsChangeNothing(t *testing.T) {
	forEach(t, func(t *testing.T, k kind) {
		data := t.TempDir()
		p := k.start(t, data)
		p.delivers(callback("evt_1", "job_1", 1, "batch.created"))
		p.delivers(callback("evt_3", "job_1", 3, "batch.completed"))
		p.delivers(callback("evt_2", "job_1", 2, "batch.in_progress"))
		p.delivers(callback("evt_4", "job_2", 2, "batch.in_progress"))
		require.Equal(t, state{sequence: 3, typ: "batch.completed"}, k.stored(t, data).jobs["job_1"])
		p.kill()
		p = k.start(t, data)
		p.delivers(callback("evt_5", "job_2", 1, "batch.created"))
		p.delivers(callback("evt_6", "job_1", 4, "batch.expired"))
		got := k.stored(t, data)
		got.once(t, "evt_1", "evt_2", "evt_3", "evt_4", "evt_5", "evt_6")
		require.Equal(t, state{sequence: 4, typ: "batch.expired"}, got.jobs["job_1"])
		require.Equal(t, state{sequence: 2, typ: "batch.in_progress"}, got.jobs["job_2"])
	})
}

// A line that a crash tore was acknowledged to nobody: the journal goes on without it. A damaged one in the middle was.
func TestTornJournal(t *testing.T) {
	journals := slices.DeleteFunc(kinds(), func(k kind) bool { return !k.journal })
	forEachOf(t, journals, func(t *testing.T, k kind) {
		data := t.TempDir()
		file := filepath.Join(data, "journal.jsonl")
		p := k.start(t, data)
		p.delivers(callback("evt_1", "job_1", 1, "batch.completed"))
		p.kill()
		whole, err := os.ReadFile(file)
		require.NoError(t, err)
		line := strings.Replace(string(whole), "evt_1", "evt_2", 1)
		require.NoError(t, os.WriteFile(file, []byte(string(whole)+line[:len(line)/2]), 0o600))
		p = k.start(t, data)
		p.delivers(callback("evt_2", "job_2", 1, "batch.completed"))
		k.stored(t, data).once(t, "evt_1", "evt_2")
		p.kill()
		require.NoError(t, os.WriteFile(file, []byte(line[:len(line)/2]+"\n"+string(whole)), 0o600))
		require.NotEmpty(t, k.refuses(t, "DATA="+data))
	})
}

// A result that was too long for its callback is fetched once, in spite of failures and kill -9, with the key, and only
// from Ringback.
func TestOmittedResultsAreFetched(t *testing.T) {
	forEach(t, func(t *testing.T, k kind) {
		var asked, elsewhere atomic.Int64
		thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
		defer thief.Close()
		mux, failed := http.NewServeMux(), make(chan struct{})
		mux.Handle("GET /v1/jobs/job_3", http.RedirectHandler(thief.URL, http.StatusFound))
		mux.HandleFunc("GET /v1/jobs/job_1", func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Header.Get("Authorization") != "Bearer sk-test":
				w.WriteHeader(http.StatusUnauthorized)
			case asked.Add(1) == 1:
				w.WriteHeader(http.StatusServiceUnavailable)
				close(failed)
			default:
				_, _ = w.Write([]byte(`{"id":"job_1"}`))
			}
		})
		api := httptest.NewServer(mux)
		defer api.Close()

		data := t.TempDir()
		settings := []string{"RINGBACK_SERVER=" + api.URL, "RINGBACK_API_KEY=sk-test"}
		p := k.start(t, data, settings...)
		for id, server := range map[string]string{"job_1": api.URL, "job_2": thief.URL, "job_3": api.URL} {
			p.delivers(omitted(id, server+"/v1/jobs/"+id))
		}
		select {
		case <-failed:
		case <-time.After(patience):
			require.Fail(t, "nobody asked for the result")
		}
		p.kill()
		p = k.start(t, data, settings...)
		eventually(t, func() bool { return k.stored(t, data).jobs["job_1"].result != "" })
		p.kill()
		p = k.start(t, data, settings...)
		for _, job := range []string{"job_2", "job_3"} {
			// Twice: between the two lies a round that looked at every job.
			eventually(t, func() bool { return strings.Count(p.stderr.String(), "the result of "+job+" is still") == 2 })
		}
		require.EqualValues(t, 2, asked.Load(), "a result that is here was fetched again")
		require.Zero(t, elsewhere.Load(), "another server was asked")
		require.Zero(t, p.terminate())
		got := k.stored(t, data).jobs
		require.Equal(t, `{"id":"job_1"}`, got["job_1"].result)
		require.Empty(t, got["job_2"].result+got["job_3"].result)
	})
}

// omitted is a callback whose result did not fit.
func omitted(job, url string) message {
	body := `{"type":"generation.completed","sequence":1,"response_omitted":true,"result_url":"` + url + `","data":{"id":"` + job + `"}}`
	return signed("evt_"+job, body, time.Now(), firstSecret)
}

func eventually(t *testing.T, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, patience, 20*time.Millisecond)
}

// SIGTERM ends it in order; a wrong secret never starts.
func TestStartAndStop(t *testing.T) {
	forEach(t, func(t *testing.T, k kind) {
		data := t.TempDir()
		p := k.start(t, data)
		p.delivers(callback("evt_1", "job_1", 1, "batch.completed"))
		require.Zero(t, p.terminate(), "exit code")
		k.stored(t, data).once(t, "evt_1")
		for _, secret := range []string{"", "whsec_", firstSecret + ",", "secret"} {
			require.Contains(t, k.refuses(t, "RINGBACK_SECRET="+secret), "RINGBACK_SECRET", secret)
		}
	})
}
