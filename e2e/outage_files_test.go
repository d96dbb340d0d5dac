package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/testservers"
)

// J2, J8: the S3 server is away while lines are called, while a batch's files are written, while an upload runs, and while a
// provider's bytes become a file. A submission that needs it is answered 503 and leaves nothing; batches wait for it, and no
// job is completed whose file is not whole.
func filesAway(t *testing.T) {
	away := 8 * time.Second
	if longForm() {
		away = time.Minute
	}
	s3, err := testservers.StartS3()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s3.Stop()) })
	settings := []string{"files.url=" + s3.URL(testservers.Bucket), "files.access_key=" + s3.AccessKey, "files.secret_key=" + s3.SecretKey}
	up, hook := startUpstream(t, nil), startReceiver(t)
	up.behind = providerOfBytes()
	f := startFleet(t, fleetOptions{apis: 1, workers: 2, settings: append(openCallbacks(), append(settings, up.provider(whoamI), chaosSchedule)...)})

	const long, large = 1500, 120
	running := f.batch(f.input(numbered(long, 0)), hook.field())
	ending := f.batch(f.input(atLength(large)), hook.field())
	eventually(t, "it is about to write its files", func() bool {
		return f.count("SELECT completed FROM jobs WHERE id = $1", ending) >= large*9/10
	})
	upload, uploaded := f.slowUpload(40 << 20)
	upload(25 << 20)
	require.NoError(t, s3.Kill())
	from := time.Now()
	speech := f.call(http.StatusAccepted, "POST", "/v1/jobs", `{"kind":"generation","path":"/v1/audio/speech","body":{"model":"m","voice":"v","input":"speech"}`+hook.field()+`}`).get("id").String()
	upload(15 << 20)
	refusedNow(t, <-uploaded)
	f.refusesFiles(t)
	eventually(t, "/readyz tells", func() bool {
		a := f.read("/readyz")
		return a.get("status").Str == "degraded" && a.get("checks.files.status").Str == "failed"
	})
	f.generate("text needs no file", hook.field())
	time.Sleep(time.Until(from.Add(away)))
	for _, job := range []string{running, ending} {
		require.Contains(t, []string{"in_progress", "finalizing"}, f.read("/v1/batches/"+job).get("status").String())
	}
	require.Equal(t, "in_progress", f.read("/v1/jobs/"+speech).get("status").String())
	require.NoError(t, s3.Start())
	back := time.Now()

	for job, lines := range map[string]int{running: long, ending: large} {
		done := f.ended(job)
		require.Equal(t, "completed", done.get("status").String(), "%s", done.body)
		output, _ := f.whole(done, lines)
		require.Equal(t, lines, output)
		answersFit(t, f.lines(done.get("output_file_id")))
		hook.wait(job, "batch.completed")
		f.oneEnd(job, "batch.completed")
	}
	done := f.ended(speech)
	require.Equal(t, "completed", done.get("status").String(), "%s", done.body)
	bytesOf := f.read("/v1/files/" + done.get("result.file_id").String() + "/content").body
	require.Equal(t, speechBytes, bytesOf)
	t.Logf("J2: the S3 server was away for %s; what waited for it was done %s after it was back; %d calls for %d lines and 2 generations",
		back.Sub(from).Round(time.Millisecond), time.Since(back).Round(time.Millisecond), up.count(), long+large)
	require.Equal(t, long+large+2, up.count(), "nothing was called twice")
	require.Equal(t, 2+2+1, f.count("SELECT count(*) FROM files"), "inputs, outputs, the speech: no file of what was refused")
	require.Equal(t, "ok", f.ready())
}

// ready is what /readyz says once a new look has been taken.
func (f *fleet) ready() (status string) {
	eventually(f.t, "it is well again", func() bool {
		status = f.read("/readyz").get("status").Str
		return status == "ok"
	})
	return status
}

var speechBytes = bytes.Repeat([]byte("RIFF-sound-"), 10_000)

// providerOfBytes answers speech with sound, and questions whose padding says so with long answers.
func providerOfBytes() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"object":"list","data":[{"id":"m","object":"model"}]}`)
			return
		}
		body, _ := io.ReadAll(r.Body) // a test's buffer
		time.Sleep(100 * time.Millisecond)
		if strings.HasSuffix(r.URL.Path, "/audio/speech") {
			w.Header().Set("Content-Type", "audio/wav")
			_, _ = w.Write(speechBytes)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		said := "answer to " + prompt(string(body))
		if strings.Contains(said, "at length") {
			said += strings.Repeat("x", 300_000)
		}
		_, _ = io.WriteString(w, completion(said))
	})
}

// atLength is a numbered input whose answers are of 300 KB each: the output is sent in parts.
func atLength(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(line(customID(i), ask(question(i)+" at length")) + "\n")
	}
	return b.String()
}

// slowUpload begins an upload of n bytes; send sends some of them, and the answer comes when all were sent.
func (f *fleet) slowUpload(n int) (send func(int), answered <-chan answer) {
	head, contentType := form(part{"purpose", "", "user_data"}, part{"file", "slow.bin", ""})
	tail := head[bytes.LastIndex(head, []byte("\r\n--")):]
	head = head[:len(head)-len(tail)]
	r, w := io.Pipe()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	f.t.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, "POST", f.url+"/v1/files", r)
	require.NoError(f.t, err)
	request.Header.Set("Content-Type", contentType)
	request.ContentLength = int64(len(head) + n + len(tail))
	to := make(chan answer, 1)
	go func() {
		response, err := f.http.Do(request)
		if err != nil {
			to <- answer{body: []byte(err.Error())}
			return
		}
		defer response.Body.Close()
		text, _ := io.ReadAll(response.Body) // what is there of it
		to <- answer{response.StatusCode, response.Header, text}
	}()
	left := n
	_, _ = w.Write(head) // a server that has answered reads no more
	return func(some int) {
		_, _ = w.Write(make([]byte, some))
		if left -= some; left <= 0 {
			_, _ = w.Write(tail)
			_ = w.Close()
		}
	}, to
}

func refusedNow(t *testing.T, a answer) {
	t.Helper()
	require.Equal(t, http.StatusServiceUnavailable, a.status, "%s", a.body)
	require.NotEmpty(t, a.header.Get("Retry-After"))
	refused(t, a)
}

// refusesFiles wants submissions that bring bytes to be refused for now, soon enough.
func (f *fleet) refusesFiles(t *testing.T) {
	t.Helper()
	before := f.count("SELECT count(*) FROM jobs")
	began := time.Now()
	body, contentType := form(part{"purpose", "", "user_data"}, part{"file", "small.txt", "small"})
	a, err := f.do("POST", "/v1/files", bytes.NewReader(body), "Content-Type", contentType)
	require.NoError(t, err)
	refusedNow(t, a)
	inline := fmt.Sprintf(`{"requests":[{"body":%s}],"endpoint":%q,"completion_window":"24h"}`, ask("inline"), chat)
	require.True(t, gjson.Valid(inline))
	a, err = f.do("POST", "/v1/batches", strings.NewReader(inline), "Content-Type", "application/json", "Idempotency-Key", "inline")
	require.NoError(t, err)
	refusedNow(t, a)
	require.Equal(t, before, f.count("SELECT count(*) FROM jobs"), "what was refused left nothing")
	require.Less(t, time.Since(began), 20*time.Second)
}
