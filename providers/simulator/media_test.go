package simulator_test

import (
	"encoding/binary"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/providers/simulator"
)

const videosPath = "/v1/videos"

func recordForm(t *testing.T, h http.Handler, body io.Reader, contentType string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), "POST", transcriptPath, body)
	r.Header.Set("Content-Type", contentType)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// clocked serves a simulator whose clock moves by hand.
func clocked(t *testing.T, opts simulator.Options) (u *upstream, pass func(time.Duration)) {
	t.Helper()
	var clock atomic.Int64
	clock.Store(1_800_000_000_000_000_000)
	opts.Now = func() time.Time { return time.Unix(0, clock.Load()) }
	return serve(t, opts), func(d time.Duration) { clock.Add(int64(d)) }
}

func video(prompt string) string { return `{"model":"sim-large","prompt":"` + prompt + `"}` }

func (u *upstream) get(path string) answer {
	u.t.Helper()
	return u.do("GET", path, "")
}

func TestVideoRunsByTheClock(t *testing.T) {
	t.Parallel()
	u, pass := clocked(t, simulator.Options{MediaTime: 10 * time.Second})
	got := u.ok(videosPath, `{"model":"sim-small","prompt":"A \"red\" hen","seconds":"8","size":"1280x720"}`)
	id := got.Get("id").Str
	require.JSONEq(t, `{"id":"`+id+`","object":"video","status":"queued","model":"sim-small","progress":0,
		"created_at":1800000000,"completed_at":null,"expires_at":null,"prompt":"A \"red\" hen",
		"remixed_from_video_id":null,"seconds":"8","size":"1280x720","error":null}`, got.raw)
	require.Regexp(t, `^video_[0-9a-f]{16}$`, id)

	steps := []struct {
		after    time.Duration
		status   string
		progress int64
	}{
		{0, "queued", 0},
		{time.Second, "in_progress", 10},
		{8 * time.Second, "in_progress", 90},
		{time.Second, "completed", 100},
		{time.Hour, "completed", 100},
	}
	for _, step := range steps {
		pass(step.after)
		got = u.get(videosPath + "/" + id)
		require.Equal(t, step.status, got.Get("status").Str)
		require.Equal(t, step.progress, got.Get("progress").Int())
	}
	require.EqualValues(t, 1_800_000_010, got.Get("completed_at").Int())
	require.EqualValues(t, 1, u.Calls(), "a poll is no model call")
	require.EqualValues(t, 1, u.get("/healthz").Get("videos").Int())
}

func TestVideoContentIsAnMP4OnceItIsDone(t *testing.T) {
	t.Parallel()
	u, pass := clocked(t, simulator.Options{})
	path := videosPath + "/" + u.ok(videosPath, video("A hen")).Get("id").Str
	require.Equal(t, "video_not_ready", u.refused("GET", path+"/content", "", 400).Get("error.code").Str)
	pass(time.Second)
	got := u.get(path + "/content")
	require.Equal(t, http.StatusOK, got.status)
	require.Equal(t, "video/mp4", got.header.Get("Content-Type"))
	var boxes []string
	for rest := []byte(got.raw); len(rest) > 0; {
		size := binary.BigEndian.Uint32(rest)
		require.LessOrEqual(t, int(size), len(rest))
		boxes = append(boxes, string(rest[4:8]))
		rest = rest[size:]
	}
	require.Equal(t, []string{"ftyp", "mdat"}, boxes)
	require.Greater(t, len(got.raw), 4*32<<10)

	again := u.ok(videosPath, video("A hen")).Get("id").Str
	other := u.ok(videosPath, video("A cow")).Get("id").Str
	pass(time.Second)
	require.Equal(t, got.raw, u.get(videosPath+"/"+again+"/content").raw)
	require.NotEqual(t, got.raw, u.get(videosPath+"/"+other+"/content").raw)
	u.refused("GET", path+"/content?variant=thumbnail", "", 400)
}

func TestVideoFailsByDirective(t *testing.T) {
	t.Parallel()
	u, pass := clocked(t, simulator.Options{})
	path := videosPath + "/" + u.ok(videosPath, video("A hen [[sim:fail]]")).Get("id").Str
	require.Equal(t, "null", u.get(path).Get("error").Raw)
	pass(time.Second)
	got := u.get(path)
	require.Equal(t, "failed", got.Get("status").Str)
	require.Equal(t, "generation_failed", got.Get("error.code").Str)
	require.NotEmpty(t, got.Get("error.message").Str)
	require.Equal(t, "null", got.Get("completed_at").Raw)
	u.refused("GET", path+"/content", "", 400)
	u.refused("POST", videosPath, video("[[sim:status=503]]"), 503)
	require.EqualValues(t, 1, u.Videos())
}

func (u *upstream) submit(key, body string) (answer, error) {
	req, err := http.NewRequestWithContext(u.t.Context(), "POST", u.url+videosPath, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Idempotency-Key", key)
	resp, err := u.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(raw), gjson.ParseBytes(raw)}, err
}

func TestOneKeyCreatesOneVideo(t *testing.T) {
	t.Parallel()
	u, pass := clocked(t, simulator.Options{})
	// The first answer breaks off: its client does not learn the video's ID.
	_, err := u.submit("k1", video("A hen [[sim:truncate times=1]]"))
	require.Error(t, err)
	require.EqualValues(t, 1, u.Videos())
	pass(time.Second)
	ids := make([]string, 8)
	var asking sync.WaitGroup
	for i := range ids {
		asking.Go(func() {
			got, err := u.submit("k1", video("A hen [[sim:truncate times=1]]"))
			if err == nil && got.Get("status").Str == "completed" {
				ids[i] = got.Get("id").Str
			}
		})
	}
	asking.Wait()
	for _, id := range ids {
		require.NotEmpty(t, id)
		require.Equal(t, ids[0], id)
	}
	require.EqualValues(t, 1, u.Videos())
	other, err := u.submit("k2", video("A hen"))
	require.NoError(t, err)
	require.NotEqual(t, ids[0], other.Get("id").Str)
	require.NotEqual(t, u.ok(videosPath, video("A hen")).Get("id").Str, u.ok(videosPath, video("A hen")).Get("id").Str)
	require.EqualValues(t, 4, u.Videos())
}

func TestVideosArePagedAndDeleted(t *testing.T) {
	t.Parallel()
	u := serve(t, simulator.Options{})
	var ids [3]string
	for i := range ids {
		ids[i] = u.ok(videosPath, video("A hen")).Get("id").Str
	}
	first := u.get(videosPath + "?limit=2")
	require.Equal(t, []string{ids[2], ids[1]}, idsOf(first))
	require.True(t, first.Get("has_more").Bool())
	require.Equal(t, ids[1], first.Get("last_id").Str)
	rest := u.get(videosPath + "?limit=2&after=" + ids[1])
	require.Equal(t, []string{ids[0]}, idsOf(rest))
	require.Equal(t, "false", rest.Get("has_more").Raw)
	require.Equal(t, ids[:], idsOf(u.get(videosPath+"?order=asc")))

	gone := u.do("DELETE", videosPath+"/"+ids[1], "")
	require.JSONEq(t, `{"id":"`+ids[1]+`","object":"video.deleted","deleted":true}`, gone.raw)
	require.Equal(t, []string{ids[2], ids[0]}, idsOf(u.get(videosPath)))
	for _, path := range []string{"/" + ids[1], "/" + ids[1] + "/content"} {
		u.refused("GET", videosPath+path, "", 404)
	}
	u.refused("DELETE", videosPath+"/"+ids[1], "", 404)
	u.refused("GET", videosPath+"?after="+ids[1], "", 400)
	u.refused("GET", videosPath+"?limit=0", "", 400)
	require.EqualValues(t, 3, u.get("/healthz").Get("videos").Int())
	require.Equal(t, "null", serve(t, simulator.Options{}).get(videosPath).Get("first_id").Raw)
}

func idsOf(list answer) (ids []string) {
	for _, item := range list.Get("data").Array() {
		ids = append(ids, item.Get("id").Str)
	}
	return ids
}

func TestVideosReadFormsAndSayWhatTheyCannotRead(t *testing.T) {
	t.Parallel()
	u := serve(t, simulator.Options{APIKey: ""})
	got := send(u, videosPath, "input_reference", strings.NewReader("picture"), "model", "sim-small", "prompt", "A hen", "seconds", "12")
	require.Equal(t, http.StatusOK, got.status, got.raw)
	require.Equal(t, "12", got.Get("seconds").Str)
	tests := []struct{ body, param string }{
		{`{"prompt":"a"}`, "model"},
		{`{"model":"sim-small"}`, "prompt"},
		{`{"model":"sim-small","prompt":1}`, "prompt"},
		{`{"model":"sim-small","prompt":"` + strings.Repeat("a", 32_001) + `"}`, "prompt"},
		{`{"model":"sim-small","prompt":"a","seconds":"0"}`, "seconds"},
		{`{"model":"sim-small","prompt":"a","seconds":1.5}`, "seconds"},
		{`{"model":"sim-small","prompt":"a","size":"big"}`, "size"},
	}
	for _, tt := range tests {
		require.Equal(t, tt.param, u.refused("POST", videosPath, tt.body, 400).Get("error.param").Str, tt.body)
	}
	require.Equal(t, "8", u.ok(videosPath, `{"model":"sim-small","prompt":"a","seconds":8}`).Get("seconds").Str)
	locked := serve(t, simulator.Options{APIKey: "k"})
	for method, path := range map[string]string{"GET": "", "DELETE": "/video_1"} {
		locked.refused(method, videosPath+path, "", 401)
	}
	require.Contains(t, u.refused("PUT", videosPath, "", 405).header.Get("Allow"), "POST")
}

func TestImageFormsDependOnTheImage(t *testing.T) {
	t.Parallel()
	u := serve(t, simulator.Options{})
	pictures := map[string]bool{}
	for _, picture := range []string{"one", "two", "three", "four"} {
		got := send(u, "/v1/images/edits", "image[]", strings.NewReader(picture), "model", "sim-small", "prompt", "A red hen", "n", "2")
		require.Equal(t, http.StatusOK, got.status, got.raw)
		require.Len(t, got.Get("data").Array(), 2)
		require.EqualValues(t, 3+64, got.Get("usage.input_tokens").Int())
		require.EqualValues(t, 3+64+128, got.Get("usage.total_tokens").Int())
		pictures[got.Get("data.0.b64_json").Str] = true
	}
	require.Greater(t, len(pictures), 1)
	got := send(u, "/v1/images/variations", "image", strings.NewReader("one"), "model", "sim-small")
	require.NotEmpty(t, got.Get("data.0.b64_json").Str, got.raw)
	for _, path := range []string{"/v1/images/edits", "/v1/images/variations"} {
		require.Equal(t, "image", send(u, path, "", nil, "model", "sim-small", "prompt", "a").Get("error.param").Str)
	}
	require.Equal(t, "prompt", send(u, "/v1/images/edits", "image", strings.NewReader("one"), "model", "sim-small").Get("error.param").Str)
}
