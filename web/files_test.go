package web

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/jobs"
)

const lines = `{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{}}` + "\n"

// part is one part of a form: with a filename it is a file.
type part struct{ name, filename, text string }

func field(name, text string) part    { return part{name: name, text: text} }
func file(filename, text string) part { return part{"file", filename, text} }
func batchFile() part                 { return file("in.jsonl", lines) }
func purpose(p string) part           { return field("purpose", p) }
func anchor(a string) part            { return field("expires_after[anchor]", a) }
func seconds(s string) part           { return field("expires_after[seconds]", s) }
func contentTypeOf(b boundary) string { return "multipart/form-data; boundary=" + string(b) }

type boundary string

func form(t *testing.T, parts ...part) (body string, contentType string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, p := range parts {
		header := textproto.MIMEHeader{}
		disposition := fmt.Sprintf(`form-data; name="%s"`, p.name)
		if p.filename != "" {
			disposition += fmt.Sprintf(`; filename="%s"`, p.filename)
			header.Set("Content-Type", "application/octet-stream")
		}
		header.Set("Content-Disposition", disposition)
		pw, err := w.CreatePart(header)
		require.NoError(t, err)
		_, err = io.WriteString(pw, p.text)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.String(), w.FormDataContentType()
}

func (h *harness) submit(t *testing.T, headers []string, parts ...part) answer {
	t.Helper()
	body, contentType := form(t, parts...)
	return h.post("/v1/files", body, append([]string{"Content-Type", contentType}, headers...)...)
}

func (h *harness) upload(t *testing.T, parts ...part) (id string) {
	t.Helper()
	a := h.submit(t, nil, parts...)
	require.Equal(t, http.StatusOK, a.status, a.body)
	return object(t, a.body)["id"].(string)
}

func TestUploadsAreTakenInAnyOrderOfParts(t *testing.T) {
	t.Parallel()
	for name, parts := range map[string][]part{
		"node": {batchFile(), purpose("batch"), anchor("created_at"), seconds("3600")},
		"go":   {anchor("created_at"), seconds("3600"), batchFile(), purpose("batch")},
		"curl": {purpose("batch"), seconds("3600"), batchFile(), anchor("created_at")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := start(t)
			a := h.submit(t, nil, parts...)
			require.Equal(t, http.StatusOK, a.status, a.body)
			o := object(t, a.body)
			require.Equal(t, "file", o["object"])
			require.Equal(t, "in.jsonl", o["filename"])
			require.InDelta(t, len(lines), o["bytes"], 0)
			require.InDelta(t, fixedNow().Unix()+3600, o["expires_at"], 0)
			content := h.get("/v1/files/" + o["id"].(string) + "/content")
			require.Equal(t, lines, content.body)
			require.Equal(t, "application/octet-stream", content.header.Get("Content-Type"))
			require.Equal(t, fmt.Sprint(len(lines)), content.header.Get("Content-Length"))
		})
	}
}

func TestRefusedUploadsNameThePartAndLeaveNoBytes(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		parts  []part
		param  string
		code   string
		status int
	}{
		"no file":              {[]part{purpose("batch")}, "file", "missing_required_parameter", 400},
		"no purpose":           {[]part{batchFile()}, "purpose", "missing_required_parameter", 400},
		"wrong purpose":        {[]part{batchFile(), purpose("bach")}, "purpose", "invalid_value", 400},
		"two files":            {[]part{batchFile(), purpose("batch"), batchFile()}, "file", "", 400},
		"two purposes":         {[]part{purpose("batch"), purpose("vision"), batchFile()}, "purpose", "invalid_value", 400},
		"unknown field after":  {[]part{batchFile(), purpose("batch"), field("colour", "red")}, "colour", "unknown_parameter", 400},
		"unknown field before": {[]part{field("colour", "red"), batchFile()}, "colour", "unknown_parameter", 400},
		"unknown file":         {[]part{{"document", "a.jsonl", lines}}, "document", "unknown_parameter", 400},
		"nameless":             {[]part{batchFile(), field("", "x")}, "", "", 400},
		"file without a name":  {[]part{field("file", lines), purpose("batch")}, "file", "invalid_type", 400},
		"filename too long":    {[]part{file(strings.Repeat("x", 256), lines), purpose("batch")}, "file", "invalid_value", 400},
		"filename not UTF-8":   {[]part{file("a\xff.jsonl", lines), purpose("batch")}, "file", "invalid_value", 400},
		"0 bytes":              {[]part{file("in.jsonl", ""), purpose("batch")}, "file", "", 400},
		"not jsonl":            {[]part{file("in.txt", lines), purpose("batch")}, "file", "", 400},
		"long purpose":         {[]part{batchFile(), purpose(strings.Repeat("x", 2000))}, "purpose", "string_above_max_length", 400},
		"NUL in purpose":       {[]part{batchFile(), purpose("batch\x00")}, "purpose", "invalid_value", 400},
		"anchor alone":         {[]part{batchFile(), purpose("batch"), anchor("created_at")}, "expires_after[seconds]", "missing_required_parameter", 400},
		"seconds alone":        {[]part{batchFile(), purpose("batch"), seconds("3600")}, "expires_after[anchor]", "missing_required_parameter", 400},
		"other anchor":         {[]part{batchFile(), purpose("batch"), anchor("now"), seconds("3600")}, "expires_after[anchor]", "invalid_value", 400},
		"too short":            {[]part{batchFile(), purpose("batch"), anchor("created_at"), seconds("3599")}, "expires_after[seconds]", "integer_below_min_value", 400},
		"too long":             {[]part{batchFile(), purpose("batch"), anchor("created_at"), seconds("2592001")}, "expires_after[seconds]", "integer_above_max_value", 400},
		"no number":            {[]part{batchFile(), purpose("batch"), anchor("created_at"), seconds("soon")}, "expires_after[seconds]", "invalid_type", 400},
		"over the limit":       {[]part{file("big.bin", strings.Repeat("x", 2<<20+1)), purpose("vision")}, "file", "request_too_large", 413},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := start(t)
			a := h.submit(t, nil, tc.parts...)
			require.Equal(t, tc.status, a.status, a.body)
			e := failure(t, a)
			require.Equal(t, tc.param, e.Param, e.Message)
			require.Equal(t, tc.code, e.Code, e.Message)
			require.Zero(t, h.blobs.count(), "bytes were left behind")
			files, _ := h.records.count()
			require.Zero(t, files)
		})
	}
}

func TestAnEmptyFileOfAnotherPurposeIsAFile(t *testing.T) {
	t.Parallel()
	h := start(t)
	id := h.upload(t, file("empty.txt", ""), purpose("user_data"))
	a := h.get("/v1/files/" + id + "/content")
	require.Equal(t, http.StatusOK, a.status)
	require.Empty(t, a.body)
	require.Equal(t, "0", a.header.Get("Content-Length"))
}

func TestUploadsThatAreNoFormAreRefused(t *testing.T) {
	t.Parallel()
	h := start(t)
	body, contentType := form(t, batchFile(), purpose("batch"))
	long := strings.Replace(body, "\r\n\r\n", "\r\nX-Long: "+strings.Repeat("x", 11<<20)+"\r\n\r\n", 1)
	for name, tc := range map[string]struct {
		body    string
		headers []string
		status  int
		param   string
	}{
		"no content type": {body, nil, 400, "Content-Type"},
		"json":            {`{"purpose":"batch"}`, []string{"Content-Type", "application/json"}, 400, "Content-Type"},
		"no boundary":     {body, []string{"Content-Type", "multipart/form-data"}, 400, "Content-Type"},
		"other boundary":  {body, []string{"Content-Type", contentTypeOf("other")}, 400, ""},
		"empty body":      {"", []string{"Content-Type", contentType}, 400, ""},
		"cut off":         {body[:len(body)-10], []string{"Content-Type", contentType}, 400, ""},
		"cut in the file": {body[:180], []string{"Content-Type", contentType}, 400, ""},
		"endless header":  {long, []string{"Content-Type", contentType}, 400, ""},
		"gzip":            {body, []string{"Content-Type", contentType, "Content-Encoding", "gzip"}, 415, "Content-Encoding"},
		"gzip after":      {body, []string{"Content-Type", contentType, "Content-Encoding", "identity", "Content-Encoding", "gzip"}, 415, "Content-Encoding"},
	} {
		t.Run(name, func(t *testing.T) {
			a := h.post("/v1/files", tc.body, tc.headers...)
			require.Equal(t, tc.status, a.status, a.body)
			require.Equal(t, tc.param, failure(t, a).Param)
			require.Zero(t, h.blobs.count())
		})
	}
	a := h.post("/v1/files", body, "Content-Type", contentType, "Content-Encoding", "identity")
	require.Equal(t, http.StatusOK, a.status, a.body)
}

func TestAClientThatStopsHalfWayLeavesNoBytes(t *testing.T) {
	t.Parallel()
	body, contentType := form(t, purpose("batch"), batchFile())
	inFile := strings.Index(body, lines) + 10
	for name, sent := range map[string]string{
		"in the file":    body[:inFile],
		"after the file": body[:strings.Index(body, lines)+len(lines)+len("\r\n--"+strings.SplitN(contentType, "=", 2)[1])+2],
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := start(t)
			h.blobs.begun, h.blobs.ended = make(chan struct{}, 1), make(chan error, 1)
			connection, err := net.Dial("tcp", strings.TrimPrefix(h.server.URL, "http://"))
			require.NoError(t, err)
			_, err = fmt.Fprintf(connection, "POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s",
				contentType, len(body)+1000, sent)
			require.NoError(t, err)
			<-h.blobs.begun
			require.NoError(t, connection.(*net.TCPConn).CloseWrite())
			response, err := http.ReadResponse(bufio.NewReader(connection), nil)
			require.NoError(t, err)
			<-h.blobs.ended
			require.Equal(t, http.StatusBadRequest, response.StatusCode)
			require.NoError(t, response.Body.Close())
			require.NoError(t, connection.Close())
			require.Zero(t, h.blobs.count())
			files, _ := h.records.count()
			require.Zero(t, files)
		})
	}
}

func TestAClientThatVanishesLeavesNoBytes(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.blobs.begun, h.blobs.ended = make(chan struct{}, 1), make(chan error, 1)
	body, contentType := form(t, purpose("batch"), batchFile())
	connection, err := net.Dial("tcp", strings.TrimPrefix(h.server.URL, "http://"))
	require.NoError(t, err)
	_, err = fmt.Fprintf(connection, "POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s",
		contentType, len(body), body[:strings.Index(body, lines)+10])
	require.NoError(t, err)
	<-h.blobs.begun
	require.NoError(t, connection.(*net.TCPConn).SetLinger(0)) // a reset
	require.NoError(t, connection.Close())
	require.Error(t, <-h.blobs.ended)
	require.Eventually(t, func() bool { return strings.Contains(h.log.String(), "route=/v1/files") }, 5*time.Second, time.Millisecond)
	require.Zero(t, h.blobs.count())
}

func TestADeclaredSizeOverTheLimitIsRefusedUnread(t *testing.T) {
	t.Parallel()
	h := start(t, func(o *Options) { o.FileBytes = 1000 })
	connection, err := net.Dial("tcp", strings.TrimPrefix(h.server.URL, "http://"))
	require.NoError(t, err)
	defer func() { _ = connection.Close() }()
	require.NoError(t, connection.SetDeadline(time.Now().Add(5*time.Second)))
	_, err = fmt.Fprint(connection, "POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 9000000000\r\n\r\n")
	require.NoError(t, err)
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusRequestEntityTooLarge, response.StatusCode)
	require.NoError(t, response.Body.Close())
}

func TestADiskThatFailsIsNotTheClientsFault(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.records.setFail(jobs.Errorf(jobs.CodeUnavailable, "", "The file cannot be kept now."))
	a := h.submit(t, nil, batchFile(), purpose("batch"))
	require.Equal(t, http.StatusServiceUnavailable, a.status)
	require.Equal(t, "5", a.header.Get("Retry-After"))
	require.Zero(t, h.blobs.count())
	h.records.setFail(errors.New("disk full"))
	require.Equal(t, http.StatusInternalServerError, h.submit(t, nil, batchFile(), purpose("batch")).status)
	require.Zero(t, h.blobs.count())
}

func TestFilesAreListedReadAndDeleted(t *testing.T) {
	t.Parallel()
	h := start(t)
	first := h.upload(t, batchFile(), purpose("batch"))
	second := h.upload(t, file("a.txt", "x"), purpose("user_data"))
	third := h.upload(t, batchFile(), purpose("batch"))

	require.Equal(t, []string{third, second, first}, ids(t, h.get("/v1/files")))
	require.Equal(t, []string{first, second, third}, ids(t, h.get("/v1/files?order=asc")))
	require.Equal(t, []string{third, first}, ids(t, h.get("/v1/files?purpose=batch")))
	require.Equal(t, []string{second}, ids(t, h.get("/v1/files?limit=1&after="+third)))
	require.Equal(t, third, object(t, h.get("/v1/files/"+strings.Replace(third, "-", "%2D", 1)).body)["id"])

	a := h.do(http.MethodDelete, "/v1/files/"+first, "")
	require.JSONEq(t, `{"id":"`+first+`","object":"file","deleted":true}`, a.body)
	for _, gone := range []answer{
		h.do(http.MethodDelete, "/v1/files/"+first, ""), h.get("/v1/files/" + first), h.get("/v1/files/" + first + "/content"),
	} {
		require.Equal(t, http.StatusNotFound, gone.status)
		require.Equal(t, shown{"No such File object: " + first, typeRequest, "id", ""}, failure(t, gone))
	}
	require.Equal(t, http.StatusNotFound, h.get("/v1/files/a%00b").status)
	require.Equal(t, http.StatusNotFound, h.get("/v1/files/%ff").status)
	require.Equal(t, 2, h.blobs.count())
}

func TestHostileFilenamesStayInTheirHeader(t *testing.T) {
	t.Parallel()
	h := start(t)
	id := h.upload(t, file(`../../ä\"; x=\"y.txt`, "x"), purpose("user_data"))
	a := h.get("/v1/files/" + id + "/content")
	require.Equal(t, http.StatusOK, a.status)
	require.True(t, strings.HasPrefix(a.header.Get("Content-Disposition"), "attachment"))
	require.NotContains(t, a.header.Get("Content-Disposition"), "..")
}

// ids are the IDs of a list, whose frame must agree with them.
func ids(t *testing.T, a answer) []string {
	t.Helper()
	require.Equal(t, http.StatusOK, a.status, a.body)
	o := object(t, a.body)
	require.Equal(t, "list", o["object"])
	require.Contains(t, o, "has_more")
	found := []string{}
	for _, entry := range o["data"].([]any) {
		found = append(found, entry.(map[string]any)["id"].(string))
	}
	if len(found) == 0 {
		require.Nil(t, o["first_id"])
		require.Nil(t, o["last_id"])
		return found
	}
	require.Equal(t, found[0], o["first_id"])
	require.Equal(t, found[len(found)-1], o["last_id"])
	return found
}
