package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// fakeServer stands in for Ringback's API: jobs end after a few polls and call
// back at once. Its fields are set before it serves.
type fakeServer struct {
	*httptest.Server
	t      *testing.T
	secret string
	status string                                        // how jobs end
	forge  func(body []byte) []byte                      // changes a callback after it is signed
	before func(http.ResponseWriter, *http.Request) bool // true: it answered
	lists  map[string][]string                           // the objects of GET path

	mu       sync.Mutex
	uploaded []byte
	requests []recorded
	jobs     map[string]*fakeJob
	sending  sync.WaitGroup
}

type recorded struct {
	Method, Path, Key, Auth string
	Body                    []byte
}

type fakeJob struct {
	kind, id  string
	total     int
	polls     int
	ended     bool
	webhook   *Webhook
	delivered bool
}

func newFakeServer(t *testing.T) *fakeServer {
	t.Helper()
	f := &fakeServer{t: t, secret: testSigningKey, status: "completed", jobs: map[string]*fakeJob{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/webhooks/default/secret", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, 200, map[string]string{"key": f.secret})
	})
	mux.HandleFunc("POST /v1/files", f.postFile)
	mux.HandleFunc("GET /v1/files/{id}/content", f.getContent)
	mux.HandleFunc("POST /v1/batches", f.postBatch)
	mux.HandleFunc("POST /v1/generate", f.postGenerate)
	mux.HandleFunc("GET /v1/batches/{id}", f.getObject)
	mux.HandleFunc("GET /v1/generate/{id}", f.getObject)
	mux.HandleFunc("GET /v1/jobs/{id}", f.getJob)
	mux.HandleFunc("GET /v1/jobs/{id}/deliveries", f.getDeliveries)
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		f.mu.Lock()
		f.requests = append(f.requests, recorded{r.Method, r.URL.RequestURI(), r.Header.Get("Idempotency-Key"), r.Header.Get("Authorization"), body})
		f.mu.Unlock()
		if f.before != nil && f.before(w, r) {
			return
		}
		if objects, ok := f.lists[r.URL.Path]; ok && r.Method == http.MethodGet {
			writeList(w, objects)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { f.sending.Wait(); f.Close() })
	return f
}

// client talks to the fake server and does not wait long between tries.
func (f *fakeServer) client() *Client {
	client := NewClient(f.URL, "")
	client.delay = time.Millisecond
	f.t.Cleanup(client.Close)
	return client
}

// sent returns the requests of one method and path.
func (f *fakeServer) sent(method, path string) []recorded {
	f.mu.Lock()
	defer f.mu.Unlock()
	var found []recorded
	for _, request := range f.requests {
		if request.Method == method && request.Path == path {
			found = append(found, request)
		}
	}
	return found
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value)
}

func writeList(w http.ResponseWriter, objects []string) {
	fmt.Fprintf(w, `{"object":"list","data":[%s],"has_more":false}`, strings.Join(objects, ","))
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	writeJSON(w, status, map[string]any{"error": map[string]any{
		"message": message, "type": "invalid_request_error", "param": "id", "code": code,
	}})
}

func (f *fakeServer) postFile(w http.ResponseWriter, r *http.Request) {
	file, header, err := r.FormFile("file")
	if err != nil || r.FormValue("purpose") == "" {
		refuse(w, 400, "missing_required_parameter", "no file or purpose")
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.uploaded, _ = io.ReadAll(file)
	writeJSON(w, 200, map[string]any{"id": "file-in", "object": "file", "bytes": len(f.uploaded), "filename": header.Filename})
}

func (f *fakeServer) getContent(w http.ResponseWriter, _ *http.Request) {
	for i := range 3 {
		fmt.Fprintf(w, `{"custom_id":"line-%d","response":{"status_code":200,"body":{"choices":[{"message":{"content":"the answer\nis %d"}}]}}}`+"\n", i, i)
	}
}

func (f *fakeServer) postBatch(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	total := bytes.Count(f.uploaded, []byte("\n"))
	f.mu.Unlock()
	f.create(w, r, &fakeJob{kind: "batch", id: "batch_1", total: total}, 200)
}

func (f *fakeServer) postGenerate(w http.ResponseWriter, r *http.Request) {
	f.create(w, r, &fakeJob{kind: "generation", id: "gen_1", total: 1}, 202)
}

func (f *fakeServer) create(w http.ResponseWriter, r *http.Request, job *fakeJob, status int) {
	var body struct {
		Webhook *Webhook `json:"webhook"`
	}
	_ = json.NewDecoder(r.Body).Decode(&body)
	f.mu.Lock()
	defer f.mu.Unlock()
	job.webhook = body.Webhook
	f.jobs[job.id] = job
	if job.kind == "generation" {
		f.end(job)
	}
	writeJSON(w, status, f.object(job))
}

func (f *fakeServer) getObject(w http.ResponseWriter, r *http.Request) {
	f.withJob(w, r, func(job *fakeJob) { writeJSON(w, 200, f.object(job)) })
}

// getJob ends the job at its third poll.
func (f *fakeServer) getJob(w http.ResponseWriter, r *http.Request) {
	f.withJob(w, r, func(job *fakeJob) {
		if job.polls++; job.polls == 3 {
			f.end(job)
		}
		writeJSON(w, 200, map[string]any{
			"id": job.id, "object": "job", "kind": job.kind, "status": f.state(job), "progress": f.counts(job), "detail": f.object(job),
		})
	})
}

func (f *fakeServer) getDeliveries(w http.ResponseWriter, r *http.Request) {
	f.withJob(w, r, func(job *fakeJob) {
		status := "waiting"
		if job.delivered {
			status = "delivered"
		}
		writeJSON(w, 200, map[string]any{"object": "list", "data": []any{map[string]any{
			"event_type": job.kind + "." + f.status, "status": status,
			"attempts": []any{map[string]any{"status_code": 204, "duration_ms": 3}},
		}}})
	})
}

func (f *fakeServer) withJob(w http.ResponseWriter, r *http.Request, answer func(*fakeJob)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	job, ok := f.jobs[r.PathValue("id")]
	if !ok {
		refuse(w, 404, "not_found", "No batch found with id '"+r.PathValue("id")+"'.")
		return
	}
	answer(job)
}

func (f *fakeServer) state(job *fakeJob) string {
	if job.ended {
		return f.status
	}
	return "in_progress"
}

func (f *fakeServer) counts(job *fakeJob) map[string]int {
	done := job.total * min(job.polls, 3) / 3
	if job.ended {
		done = job.total
	}
	return map[string]int{"total": job.total, "completed": done, "failed": 0}
}

func (f *fakeServer) object(job *fakeJob) map[string]any {
	if job.kind == "generation" {
		return map[string]any{"id": job.id, "object": "generation", "status": f.state(job), "model": "sim-small", "model_output": "40 mph"}
	}
	object := map[string]any{"id": job.id, "object": "batch", "status": f.state(job), "endpoint": "/v1/chat/completions", "request_counts": f.counts(job), "output_file_id": nil}
	if job.ended && f.status == "completed" {
		object["output_file_id"] = "file-out"
	}
	if job.ended && f.status == "failed" {
		object["errors"] = map[string]any{"object": "list", "data": []any{
			map[string]any{"code": "invalid_json_line", "message": "This line is not parseable as valid JSON.", "line": 7},
			map[string]any{"code": "invalid_json_line", "message": "This line is not parseable as valid JSON.", "line": 8},
		}}
	}
	return object
}

// end makes a job terminal and sends its callback.
func (f *fakeServer) end(job *fakeJob) {
	job.ended = true
	if job.webhook == nil {
		return
	}
	body, _ := json.Marshal(map[string]any{
		"id": "evt_" + job.id, "object": "event", "type": job.kind + "." + f.status,
		"data": map[string]any{"id": job.id, "object": f.object(job)},
	})
	hook := *job.webhook
	f.sending.Go(func() { f.callBack(job, hook, body) })
}

func (f *fakeServer) callBack(job *fakeJob, hook Webhook, body []byte) {
	header := signed(f.secret, "evt_"+job.id, time.Now(), body)
	if f.forge != nil {
		body = f.forge(body)
	}
	request, err := http.NewRequest(hook.Method, hook.URL, bytes.NewReader(body))
	if err != nil {
		return
	}
	request.Header = header
	for name, value := range hook.Headers {
		request.Header.Set(name, value)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return
	}
	defer answer.Body.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	job.delivered = answer.StatusCode == http.StatusNoContent
}

// signed makes the Standard Webhooks headers of a body.
func signed(secret, id string, at time.Time, body []byte) http.Header {
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%d.%s", id, at.Unix(), body)
	header := http.Header{}
	header.Set("webhook-id", id)
	header.Set("webhook-timestamp", fmt.Sprint(at.Unix()))
	header.Set("webhook-signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return header
}

// runCommand runs one command line against nothing but its arguments.
func runCommand(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(stdin), &out, &errs)
	return code, out.String(), errs.String()
}

func batchFile(t *testing.T, lines int) string {
	t.Helper()
	path := t.TempDir() + "/questions.jsonl"
	var text bytes.Buffer
	for i := range lines {
		fmt.Fprintf(&text, `{"custom_id":"line-%d","method":"POST","url":"/v1/chat/completions","body":{}}`+"\n", i)
	}
	require.NoError(t, os.WriteFile(path, text.Bytes(), 0o600))
	return path
}
