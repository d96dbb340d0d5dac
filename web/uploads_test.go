package web

import (
	"bufio"
	"context"
	"crypto/md5"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/jobs"
)

// shelf is memory that keeps uploads too.
type shelf struct {
	*memory
	mu      sync.Mutex
	uploads map[jobs.Ref]jobs.UploadSnapshot
	parts   map[jobs.Ref][]jobs.UploadPart
}

func (s *shelf) CreateUpload(_ context.Context, u jobs.Upload, idem *jobs.Idempotency) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	snapshot := jobs.UploadSnapshot{Upload: u}
	if err := s.use(idem, snapshot.Object()); err != nil {
		return err
	}
	s.uploads[u.Ref()] = snapshot
	return nil
}

func (s *shelf) Upload(_ context.Context, ref jobs.Ref) (jobs.UploadSnapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u, there := s.uploads[ref]
	if !there {
		return u, jobs.NotFound("No such Upload object: %s", ref.ID)
	}
	return u, nil
}

func (s *shelf) UploadParts(_ context.Context, ref jobs.Ref) ([]jobs.UploadPart, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.parts[ref], nil
}

func (s *shelf) MoveUpload(ctx context.Context, ref jobs.Ref, idem *jobs.Idempotency, move func(*jobs.Upload) (jobs.UploadEffects, error)) (jobs.UploadSnapshot, error) {
	u, err := s.Upload(ctx, ref)
	if err != nil {
		return u, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	effects, err := move(&u.Upload)
	if effects.File != nil {
		u.File = effects.File
	}
	answer := u.Object()
	if effects.Part != nil {
		answer = effects.Part.Object()
	}
	if used := s.use(idem, answer); used != nil {
		return u, used
	}
	if err != nil {
		if idem != nil {
			delete(s.keys, idem.Key)
		}
		return u, err
	}
	if effects.Part != nil {
		s.parts[ref] = append(s.parts[ref], *effects.Part)
	}
	s.uploads[ref] = u
	return u, nil
}

const partLimit = 1000 // bytes of one part

func startShelf(t *testing.T) (*harness, *shelf) {
	t.Helper()
	s := &shelf{memory: newMemory(), uploads: map[jobs.Ref]jobs.UploadSnapshot{}, parts: map[jobs.Ref][]jobs.UploadPart{}}
	kept := newBlobs()
	h := start(t, func(o *Options) {
		o.Facts, o.UploadPartBytes = s, partLimit
		o.Jobs = jobs.NewService(jobs.ServiceOptions{
			Records: s, Blobs: kept, Router: router{}, Waker: deafWaker{}, Watchers: jobs.NewWatchers(), Now: fixedNow,
			Limits: jobs.Limits{BatchBytes: 100, FileBytes: 10, UploadBytes: 5000, UploadPartBytes: partLimit},
		})
	})
	h.blobs = kept
	return h, s
}

func declared(bytes int) string {
	return fmt.Sprintf(`{"filename":"a.bin","purpose":"user_data","bytes":%d,"mime_type":"application/octet-stream"}`, bytes)
}

// begin creates an upload and gives its path.
func (h *harness) begin(bytes int) string {
	h.t.Helper()
	a := h.post("/v1/uploads", declared(bytes))
	require.Equal(h.t, http.StatusOK, a.status, a.body)
	return "/v1/uploads/" + object(h.t, a.body)["id"].(string)
}

func data(text string) part { return part{"data", "chunk", text} }

func (h *harness) sendPart(path string, headers []string, parts ...part) answer {
	h.t.Helper()
	body, contentType := form(h.t, parts...)
	return h.post(path+"/parts", body, append([]string{"Content-Type", contentType}, headers...)...)
}

func (h *harness) addPart(path, text string) string {
	h.t.Helper()
	a := h.sendPart(path, nil, data(text))
	require.Equal(h.t, http.StatusOK, a.status, a.body)
	o := object(h.t, a.body)
	require.Equal(h.t, "upload.part", o["object"])
	require.Equal(h.t, "/v1/uploads/"+o["upload_id"].(string), path)
	return o["id"].(string)
}

func partIDs(ids ...string) string { return `{"part_ids":["` + strings.Join(ids, `","`) + `"]}` }

func TestAnUploadFromDoorToDoor(t *testing.T) {
	t.Parallel()
	h, _ := startShelf(t)
	a := h.post("/v1/uploads", `{"filename":"a.jsonl","purpose":"batch","bytes":4,"mime_type":"application/jsonl","expires_after":{"anchor":"created_at","seconds":3600}}`)
	o := object(t, a.body)
	require.Equal(t, "pending", o["status"])
	require.Nil(t, o["file"])
	require.InDelta(t, fixedNow().Unix()+3600, o["expires_at"], 0)
	path := "/v1/uploads/" + o["id"].(string)
	second, first := h.addPart(path, "}\n"), h.addPart(path, "{ ")
	require.JSONEq(t, a.body, h.get(path).body)

	done := h.post(path+"/complete", fmt.Sprintf(`{"part_ids":["%s","%s"],"md5":"%x"}`, first, second, md5.Sum([]byte("{ }\n"))))
	require.Equal(t, http.StatusOK, done.status, done.body)
	o = object(t, done.body)
	require.Equal(t, "completed", o["status"])
	file := o["file"].(map[string]any)
	require.Equal(t, "a.jsonl", file["filename"])
	require.InDelta(t, fixedNow().Unix()+3600, file["expires_at"], 0)
	require.JSONEq(t, done.body, h.get(path).body)
	require.JSONEq(t, done.body, h.post(path+"/complete", partIDs(first, second)).body, "again, the same")
	for _, late := range []answer{
		h.post(path+"/complete", partIDs(second, first)), h.post(path+"/cancel", ""), h.sendPart(path, nil, data("x")),
	} {
		require.Equal(t, http.StatusBadRequest, late.status)
		e := failure(t, late)
		require.Equal(t, typeRequest, e.Type)
		require.Contains(t, e.Message, "'completed'")
	}
	require.Equal(t, 1, h.blobs.count())
}

func TestDeclarationsAreRefusedByField(t *testing.T) {
	t.Parallel()
	h, _ := startShelf(t)
	const rest = `"filename":"a.bin","purpose":"user_data","mime_type":"x"`
	for name, tc := range map[string]struct{ body, param, code string }{
		"empty":               {``, "", ""},
		"no filename":         {`{"purpose":"user_data","bytes":1,"mime_type":"x"}`, "filename", "missing_required_parameter"},
		"no purpose":          {`{"filename":"a","bytes":1,"mime_type":"x"}`, "purpose", "missing_required_parameter"},
		"no bytes":            {`{` + rest + `}`, "bytes", "missing_required_parameter"},
		"no mime type":        {`{"filename":"a","purpose":"user_data","bytes":1}`, "mime_type", "missing_required_parameter"},
		"null mime type":      {`{"filename":"a","purpose":"user_data","bytes":1,"mime_type":null}`, "mime_type", "missing_required_parameter"},
		"0 bytes":             {`{` + rest + `,"bytes":0}`, "bytes", "integer_below_min_value"},
		"too many bytes":      {`{` + rest + `,"bytes":5001}`, "bytes", "integer_above_max_value"},
		"bytes beyond 64 bit": {`{` + rest + `,"bytes":99999999999999999999}`, "bytes", "invalid_type"},
		"half a byte":         {`{` + rest + `,"bytes":1.5}`, "bytes", "invalid_type"},
		"bytes as text":       {`{` + rest + `,"bytes":"1"}`, "bytes", "invalid_type"},
		"a long filename":     {`{"filename":"` + strings.Repeat("x", 256) + `","purpose":"user_data","bytes":1,"mime_type":"x"}`, "filename", "string_above_max_length"},
		"NUL in the filename": {`{"filename":"a\u0000","purpose":"user_data","bytes":1,"mime_type":"x"}`, "filename", "invalid_value"},
		"unknown key":         {`{` + rest + `,"bytes":1,"colour":"red"}`, "colour", "unknown_parameter"},
		"expiry no object":    {`{` + rest + `,"bytes":1,"expires_after":3600}`, "expires_after", "invalid_type"},
		"no anchor":           {`{` + rest + `,"bytes":1,"expires_after":{"seconds":3600}}`, "expires_after.anchor", "missing_required_parameter"},
		"other anchor":        {`{` + rest + `,"bytes":1,"expires_after":{"anchor":"now","seconds":3600}}`, "expires_after.anchor", "invalid_value"},
		"no seconds":          {`{` + rest + `,"bytes":1,"expires_after":{"anchor":"created_at"}}`, "expires_after.seconds", "missing_required_parameter"},
		"too short":           {`{` + rest + `,"bytes":1,"expires_after":{"anchor":"created_at","seconds":1}}`, "expires_after.seconds", "integer_below_min_value"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := h.post("/v1/uploads", tc.body)
			require.Equal(t, http.StatusBadRequest, a.status, a.body)
			e := failure(t, a)
			require.Equal(t, tc.param, e.Param, e.Message)
			require.Equal(t, tc.code, e.Code, e.Message)
		})
	}
}

// J5: parts of every odd kind are refused by name, and leave no bytes.
func TestPartsAreRefusedByName(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		parts       []part
		param, code string
		status      int
	}{
		"no data":             {nil, "data", "missing_required_parameter", 400},
		"two data":            {[]part{data("a"), data("b")}, "data", "", 400},
		"extra field before":  {[]part{field("colour", "red"), data("a")}, "colour", "unknown_parameter", 400},
		"extra field after":   {[]part{data("a"), field("colour", "red")}, "colour", "unknown_parameter", 400},
		"a file instead":      {[]part{file("a", "a")}, "file", "unknown_parameter", 400},
		"nameless":            {[]part{data("a"), field("", "x")}, "", "unknown_parameter", 400},
		"0 bytes":             {[]part{data("")}, "data", "", 400},
		"too long":            {[]part{data(strings.Repeat("x", partLimit+1))}, "data", "request_too_large", 413},
		"too long and a half": {[]part{data(strings.Repeat("x", partLimit+formRoom))}, "data", "request_too_large", 413},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, s := startShelf(t)
			path := h.begin(1000)
			a := h.sendPart(path, nil, tc.parts...)
			require.Equal(t, tc.status, a.status, a.body)
			e := failure(t, a)
			require.Equal(t, tc.param, e.Param, e.Message)
			require.Equal(t, tc.code, e.Code, e.Message)
			require.Zero(t, h.blobs.count(), "bytes were left behind")
			require.Empty(t, s.parts)
		})
	}
}

func TestPartsThatAreNoFormAreRefused(t *testing.T) {
	t.Parallel()
	h, _ := startShelf(t)
	path := h.begin(1000) + "/parts"
	body, contentType := form(t, data("hello"))
	for name, tc := range map[string]struct {
		body    string
		headers []string
		status  int
		param   string
	}{
		"no content type": {body, nil, 400, "Content-Type"},
		"raw bytes":       {"hello", []string{"Content-Type", "application/octet-stream"}, 400, "Content-Type"},
		"cut off":         {body[:len(body)-10], []string{"Content-Type", contentType}, 400, ""},
		"gzip":            {body, []string{"Content-Type", contentType, "Content-Encoding", "gzip"}, 415, "Content-Encoding"},
	} {
		t.Run(name, func(t *testing.T) {
			a := h.post(path, tc.body, tc.headers...)
			require.Equal(t, tc.status, a.status, a.body)
			require.Equal(t, tc.param, failure(t, a).Param)
			require.Zero(t, h.blobs.count())
		})
	}
	body, contentType = form(t, field("data", "a text without a filename"))
	require.Equal(t, http.StatusOK, h.post(path, body, "Content-Type", contentType).status)
}

// TestPartsOfAnEndedUploadAreRefusedUnread: so is one that says it is too long.
func TestPartsOfAnEndedUploadAreRefusedUnread(t *testing.T) {
	t.Parallel()
	h, _ := startShelf(t)
	cancelled, pending := h.begin(1000), h.begin(1000)
	require.Equal(t, "cancelled", object(t, h.post(cancelled+"/cancel", "").body)["status"])
	for _, row := range []struct {
		path   string
		length int64
		status int
	}{
		{cancelled, 900_000, http.StatusBadRequest},
		{"/v1/uploads/upload_x", 900_000, http.StatusNotFound},
		{pending, 9_000_000_000, http.StatusRequestEntityTooLarge},
	} {
		connection, err := net.Dial("tcp", strings.TrimPrefix(h.server.URL, "http://"))
		require.NoError(t, err)
		require.NoError(t, connection.SetDeadline(time.Now().Add(5*time.Second)))
		_, err = fmt.Fprintf(connection, "POST %s/parts HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: %d\r\n\r\n", row.path, row.length)
		require.NoError(t, err)
		response, err := http.ReadResponse(bufio.NewReader(connection), nil)
		require.NoError(t, err)
		require.Equal(t, row.status, response.StatusCode)
		require.NoError(t, response.Body.Close())
		require.NoError(t, connection.Close())
	}
}

func TestACompletionIsReadStrictly(t *testing.T) {
	t.Parallel()
	h, _ := startShelf(t)
	path := h.begin(4)
	id := h.addPart(path, "abcd")
	for name, tc := range map[string]struct{ body, param, code, say string }{
		"empty":         {``, "", "", "could not parse"},
		"no part_ids":   {`{}`, "part_ids", "missing_required_parameter", ""},
		"a text":        {`{"part_ids":"` + id + `"}`, "part_ids", "invalid_type", ""},
		"numbers":       {`{"part_ids":[1]}`, "part_ids", "invalid_type", ""},
		"a null":        {`{"part_ids":["` + id + `",null]}`, "part_ids", "invalid_type", ""},
		"none":          {`{"part_ids":[]}`, "part_ids", "", "0 bytes together, but the upload was created for 4 bytes"},
		"twice":         {partIDs(id, id), "part_ids", "invalid_value", "stands twice"},
		"unknown part":  {partIDs("part_x"), "part_ids", "invalid_value", "has no part 'part_x'"},
		"md5 no text":   {`{"part_ids":["` + id + `"],"md5":1}`, "md5", "invalid_type", ""},
		"md5 of others": {`{"part_ids":["` + id + `"],"md5":"00000000000000000000000000000000"}`, "md5", "invalid_value", "e2fc714c4727ee9395f324cd2e7f331f"},
		"unknown key":   {`{"part_ids":["` + id + `"],"colour":"red"}`, "colour", "unknown_parameter", ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := h.post(path+"/complete", tc.body)
			require.Equal(t, http.StatusBadRequest, a.status, a.body)
			e := failure(t, a)
			require.Equal(t, tc.param, e.Param, e.Message)
			require.Equal(t, tc.code, e.Code, e.Message)
			require.Contains(t, e.Message, tc.say)
			require.Equal(t, 1, h.blobs.count())
		})
	}
	require.Equal(t, http.StatusOK, h.post(path+"/complete", `{"part_ids":["`+id+`"],"md5":"E2FC714C4727EE9395F324CD2E7F331F"}`).status)
}

func TestUploadsThatAreNotThere(t *testing.T) {
	t.Parallel()
	h, _ := startShelf(t)
	for _, id := range []string{"upload_x", "a%00b", "%ff"} {
		path := "/v1/uploads/" + id
		for name, a := range map[string]answer{
			"get": h.get(path), "part": h.sendPart(path, nil, data("a")), "part with a key": h.sendPart(path, []string{"Idempotency-Key", "k"}, data("a")),
			"complete": h.post(path+"/complete", partIDs("a")), "cancel": h.post(path+"/cancel", ""),
		} {
			require.Equal(t, http.StatusNotFound, a.status, name)
			e := failure(t, a)
			require.Equal(t, "id", e.Param)
			require.Contains(t, e.Message, "No such Upload object")
		}
	}
	require.Zero(t, h.blobs.count())
}

// TestUploadsAreRepeatedByTheirKey: the first answer again, also when the upload has ended since.
func TestUploadsAreRepeatedByTheirKey(t *testing.T) {
	t.Parallel()
	h, s := startShelf(t)
	twice := func(send func() answer) answer {
		t.Helper()
		first, again := send(), send()
		require.Equal(t, http.StatusOK, first.status, first.body)
		require.Equal(t, first.body, again.body)
		require.Empty(t, first.header.Get(replayHeader))
		require.Equal(t, "true", again.header.Get(replayHeader))
		return first
	}
	created := twice(func() answer { return h.post("/v1/uploads", declared(4), keyHeader, "create") })
	require.Len(t, s.uploads, 1)
	path := "/v1/uploads/" + object(t, created.body)["id"].(string)
	sendPart := func() answer { return h.sendPart(path, []string{keyHeader, "part"}, data("abcd")) }
	id := object(t, twice(sendPart).body)["id"].(string)
	require.Equal(t, 1, h.blobs.count())
	require.Equal(t, http.StatusUnprocessableEntity, h.sendPart(path, []string{keyHeader, "part"}, data("abce")).status)
	twice(func() answer { return h.post(path+"/complete", partIDs(id), keyHeader, "complete") })
	require.Equal(t, id, object(t, sendPart().body)["id"])
	require.Equal(t, 1, h.blobs.count())
}
