package simulator_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"syscall"
	"testing"

	openai "github.com/sashabaranov/go-openai"
	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/providers/simulator"
)

func TestFilesComeAndGo(t *testing.T) {
	t.Parallel()
	u := account(t, simulator.Options{})
	want := "{\"a\":1}\r\n\x00\xff no JSON, kept byte for byte"
	for _, parts := range [][]part{
		{{"file", "a.jsonl", want}, {"purpose", "", "batch"}},
		{{"purpose", "", "batch"}, {"file", "a.jsonl", want}},
	} {
		got, err := u.sendForm(parts...)
		require.NoError(t, err)
		requireWhole(t, got)
		id := got.Get("id").Str
		require.Regexp(t, `^file-[0-9a-f]{24}$`, id)
		require.Equal(t, "file", got.Get("object").Str)
		require.EqualValues(t, len(want), got.Get("bytes").Int())
		require.Equal(t, "a.jsonl", got.Get("filename").Str)
		require.Equal(t, "batch", got.Get("purpose").Str)
		require.Equal(t, "processed", got.Get("status").Str)
		require.EqualValues(t, 30*24*3600, got.Get("expires_at").Int()-got.Get("created_at").Int())
		require.Equal(t, got.raw, u.fetch("/v1/files/"+id).raw)

		bytes := u.fetch("/v1/files/" + id + "/content")
		require.Equal(t, want, bytes.raw)
		require.Equal(t, "application/octet-stream", bytes.header.Get("Content-Type"))
		require.Regexp(t, `^req_`, bytes.header.Get("X-Request-Id"))

		gone := u.do("DELETE", "/v1/files/"+id, "")
		require.JSONEq(t, `{"id":"`+id+`","object":"file","deleted":true}`, gone.raw)
		for _, again := range [][2]string{{"DELETE", ""}, {"GET", ""}, {"GET", "/content"}} {
			refused := u.refused(again[0], "/v1/files/"+id+again[1], "", 404)
			require.Equal(t, "No such File object: "+id, refused.Get("error.message").Str)
			require.Equal(t, "id", refused.Get("error.param").Str)
		}
	}
	require.Empty(t, ids(u.fetch("/v1/files")))
	require.Equal(t, "GET, POST", sorted(u.refused("PUT", "/v1/files", "", 405).header.Get("Allow")))
}

func sorted(allow string) string {
	if allow == "POST, GET" {
		return "GET, POST"
	}
	return allow
}

func TestFilesThroughAnSDK(t *testing.T) {
	t.Parallel()
	u := account(t, simulator.Options{})
	client := u.sdk()
	file, err := client.CreateFileBytes(t.Context(), openai.FileBytesRequest{Name: "a.jsonl", Bytes: []byte("{}"), Purpose: openai.PurposeFineTune})
	require.NoError(t, err)
	require.Equal(t, 2, file.Bytes)
	list, err := client.ListFiles(t.Context())
	require.NoError(t, err)
	require.Len(t, list.Files, 1)
	content, err := client.GetFileContent(t.Context(), file.ID)
	require.NoError(t, err)
	defer func() { require.NoError(t, content.Close()) }()
	raw, err := io.ReadAll(content)
	require.NoError(t, err)
	require.Equal(t, "{}", string(raw))
	require.NoError(t, client.DeleteFile(t.Context(), file.ID))
	_, err = client.GetFile(t.Context(), file.ID)
	var refused *openai.APIError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, http.StatusNotFound, refused.HTTPStatusCode)
}

func TestFilesExpireByTheClock(t *testing.T) {
	t.Parallel()
	clock := newTicker()
	u := account(t, simulator.Options{Now: clock.now})
	got, err := u.sendForm(part{"expires_after[anchor]", "", "created_at"}, part{"expires_after[seconds]", "", "3600"},
		part{"file", "a.txt", "a"}, part{"purpose", "", "user_data"})
	require.NoError(t, err)
	id := got.Get("id").Str
	require.EqualValues(t, clock.now().Unix()+3600, got.Get("expires_at").Int())
	clock.pass(3600e9 - 1)
	u.fetch("/v1/files/" + id + "/content")
	clock.pass(1)
	u.refused("GET", "/v1/files/"+id, "", 404)
	u.refused("GET", "/v1/files/"+id+"/content", "", 404)
	require.Empty(t, ids(u.fetch("/v1/files")))
}

func TestBadUploadsAreRefused(t *testing.T) {
	t.Parallel()
	u := account(t, simulator.Options{})
	file, purpose := part{"file", "a.jsonl", "{}"}, part{"purpose", "", "batch"}
	tests := []struct {
		name  string
		parts []part
		param string
	}{
		{"no file", []part{purpose}, "file"},
		{"no purpose", []part{file}, "purpose"},
		{"nothing", nil, "file"},
		{"unknown purpose", []part{file, {"purpose", "", "fun"}}, "purpose"},
		{"two files", []part{file, file, purpose}, "file"},
		{"unknown field", []part{file, purpose, {"x", "", "1"}}, "x"},
		{"long field", []part{file, {"purpose", "", strings.Repeat("a", 5000)}}, "purpose"},
		{"batch of no JSONL", []part{{"file", "a.txt", "{}"}, purpose}, "file"},
		{"tuning on no JSONL", []part{{"file", "a.txt", "{}"}, {"purpose", "", "fine-tune"}}, "file"},
		{"too short a life", []part{file, purpose, {"expires_after[anchor]", "", "created_at"}, {"expires_after[seconds]", "", "1"}}, "expires_after"},
		{"no anchor", []part{file, purpose, {"expires_after[seconds]", "", "3600"}}, "expires_after"},
		{"unreadable directive", []part{{"file", "[[sim:x]].jsonl", "{}"}, purpose}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := u.sendForm(tt.parts...)
			require.NoError(t, err)
			require.Equal(t, 400, got.status, got.raw)
			requireWhole(t, got)
			require.Equal(t, tt.param, got.Get("error.param").Str, got.raw)
		})
	}
	kind, body := form(file, purpose)
	for name, raw := range map[string][2]string{
		"no form": {"application/json", `{}`}, "no boundary": {"multipart/form-data", body},
		"other boundary": {"multipart/form-data; boundary=x", body}, "broken off": {kind, body[:len(body)/2]}, "empty": {kind, ""},
	} {
		got, err := u.sendRaw(raw[0], raw[1])
		require.NoError(t, err)
		require.Equal(t, 400, got.status, "%s: %s", name, got.raw)
	}
	require.Empty(t, ids(u.fetch("/v1/files")), "nothing of a refused form stays")
}

func TestAResetUploadIsKept(t *testing.T) {
	t.Parallel()
	u := account(t, simulator.Options{})
	_, err := u.sendForm(part{"file", "a[[sim:reset]].jsonl", "{}"}, part{"purpose", "", "batch"})
	require.ErrorIs(t, err, syscall.ECONNRESET)
	list := u.fetch("/v1/files")
	require.Equal(t, "a[[sim:reset]].jsonl", list.Get("data.0.filename").Str)
	require.Equal(t, "{}", u.fetch("/v1/files/"+list.Get("data.0.id").Str+"/content").raw)

	once := part{"file", "b[[sim:reset times=1]].jsonl", "{}"}
	_, err = u.sendForm(once, part{"purpose", "", "batch"})
	require.ErrorIs(t, err, syscall.ECONNRESET)
	got, err := u.sendForm(once, part{"purpose", "", "batch"})
	require.NoError(t, err)
	require.Equal(t, 200, got.status)
	require.Len(t, ids(u.fetch("/v1/files")), 3)
}

// The form is as long as a file may be and two bytes, and no more than a few of
// its pieces are ever in memory.
func TestUploadsKeepMemoryFlat(t *testing.T) {
	dir := t.TempDir()
	sim := simulator.New(simulator.Options{Dir: dir})
	const size = 64 << 20
	head, tail := "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n\r\n",
		"\r\n--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nuser_data\r\n--b--\r\n"
	req := httptest.NewRequest(http.MethodPost, "/v1/files",
		io.MultiReader(strings.NewReader(head), &endless{left: size}, strings.NewReader(tail)))
	req.Header.Set("Content-Type", "multipart/form-data; boundary=b")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got := httptest.NewRecorder()
	sim.ServeHTTP(got, req)
	runtime.ReadMemStats(&after)
	require.Equal(t, 200, got.Code, got.Body.String())
	require.EqualValues(t, size, gjson.Get(got.Body.String(), "bytes").Int())
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(4<<20))
	require.True(t, bytes.HasPrefix(got.Body.Bytes(), []byte(`{"id":"file-`)))
	require.NoError(t, sim.Close())
}
