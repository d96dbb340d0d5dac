package e2e

import (
	"crypto/md5"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// chunk is one part of an upload, made as it is read: the same bytes each time, others for each seed.
type chunk struct {
	seed byte
	size int64
}

func (c chunk) reader() io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{c.seed}), c.size)
}

// chunks are n parts of about the same size.
func chunks(n int, size int64) (all []chunk, total int64) {
	for i := range n {
		c := chunk{byte(i), size + int64(i)*4099}
		all, total = append(all, c), total+c.size
	}
	return all, total
}

// sumOf is the MD5 of a source, in hex.
func sumOf(t *testing.T, r io.Reader) string {
	t.Helper()
	sum := md5.New()
	_, err := io.Copy(sum, r)
	require.NoError(t, err)
	return fmt.Sprintf("%x", sum.Sum(nil))
}

func whole(all []chunk) io.Reader {
	var readers []io.Reader
	for _, c := range all {
		readers = append(readers, c.reader())
	}
	return io.MultiReader(readers...)
}

// beginUpload declares an upload and gives its path.
func (c *client) beginUpload(filename, purpose string, size int64) string {
	c.t.Helper()
	a := c.call(http.StatusOK, "POST", "/v1/uploads",
		fmt.Sprintf(`{"filename":%q,"purpose":%q,"bytes":%d,"mime_type":"application/octet-stream"}`, filename, purpose, size))
	return "/v1/uploads/" + a.get("id").String()
}

// sendChunk sends one part as it is made, and gives its ID.
func (c *client) sendChunk(path string, r io.Reader) (string, error) {
	head, contentType := form(part{"data", "chunk", ""})
	end := strings.LastIndex(string(head), "\r\n--")
	body := io.MultiReader(strings.NewReader(string(head[:end])), r, strings.NewReader(string(head[end:])))
	a, err := c.do("POST", path+"/parts", body, "Content-Type", contentType)
	if err == nil && a.status != http.StatusOK {
		err = fmt.Errorf("%d: %s", a.status, a.body)
	}
	return a.get("id").String(), err
}

// sendAll sends the parts side by side in any order, and gives their IDs in the source's.
func (c *client) sendAll(path string, all []chunk) []string {
	c.t.Helper()
	ids, errs := make([]string, len(all)), make([]error, len(all))
	var sent sync.WaitGroup
	for _, i := range rand.Perm(len(all)) {
		sent.Go(func() { ids[i], errs[i] = c.sendChunk(path, all[i].reader()) })
	}
	sent.Wait()
	for _, err := range errs {
		require.NoError(c.t, err)
	}
	return ids
}

func ending(t *testing.T, ids []string, sum string) string {
	t.Helper()
	body, err := json.Marshal(map[string]any{"part_ids": ids, "md5": sum})
	require.NoError(t, err)
	return string(body)
}

// 20 parts of 15 MB, all at once: they are the source again, and none of them stays in memory.
func TestMemoryStaysFlatOver20PartsAtOnce(t *testing.T) {
	const rise = 48 << 20
	s := startServer(t)
	warm, size := chunks(20, 1000) // what any 20 parts cost is no part of it
	path := s.beginUpload("a.bin", "user_data", size)
	s.call(http.StatusOK, "POST", path+"/complete", ending(t, s.sendAll(path, warm), sumOf(t, whole(warm))))
	before := s.peak()

	all, size := chunks(20, 15_000_000)
	path = s.beginUpload("large.bin", "user_data", size)
	ids := s.sendAll(path, all)
	done := s.call(http.StatusOK, "POST", path+"/complete", ending(t, ids, sumOf(t, whole(all))))
	require.Equal(t, "completed", done.get("status").String())
	require.EqualValues(t, size, done.get("file.bytes").Int())
	response, err := s.http.Get(s.url + "/v1/files/" + done.get("file.id").String() + "/content")
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, sumOf(t, whole(all)), sumOf(t, response.Body))
	t.Logf("%d MB in 20 parts: resident at most %d MB, %d MB before", size/1e6, s.peak()>>20, before>>20)
	require.Less(t, s.peak()-before, int64(rise))
	require.Len(t, s.blobs(), 2, "two files; the parts are gone")
}

// A kill in the middle of a completion leaves the upload as it was: it is completed after the restart.
func TestAKillDuringACompletion(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	all, size := chunks(8, 10_000_000)
	path := s.beginUpload("a.bin", "user_data", size)
	body := ending(t, s.sendAll(path, all), sumOf(t, whole(all)))
	require.Len(t, s.blobs(), len(all))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = s.do("POST", path+"/complete", strings.NewReader(body)) // it is cut off
	}()
	s.eventually("the whole is being written", func() bool { return len(spool(t, s)) == 1 })
	s.kill9()
	<-ended
	s.restart()
	require.Empty(t, spool(t, s), "half a file is nobody's")
	require.Equal(t, "pending", s.read(path).get("status").String())
	require.Len(t, s.blobs(), len(all))
	done := s.call(http.StatusOK, "POST", path+"/complete", body)
	require.EqualValues(t, size, done.get("file.bytes").Int())
	again := s.call(http.StatusOK, "POST", path+"/complete", body)
	require.JSONEq(t, string(done.body), string(again.body))
	require.Len(t, s.blobs(), 1)
	require.Len(t, s.read("/v1/files").get("data").Array(), 1)
}

// spool are the files that are being written.
func spool(t *testing.T, s *server) []os.DirEntry {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(s.dir, "files", "tmp"))
	require.NoError(t, err)
	return entries
}

// J5: a client that goes away half-way through a part leaves nothing, and may send it again.
func TestHalfAPartLeavesNothing(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	path := s.beginUpload("a.bin", "user_data", 2_000_000)
	body, contentType := form(part{"data", "chunk", strings.Repeat("x", 2_000_000)})
	connection := s.dial()
	_, err := fmt.Fprintf(connection, "POST %s/parts HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n",
		path, connection.RemoteAddr(), contentType, len(body))
	require.NoError(t, err)
	_, err = connection.Write(body[:len(body)/2])
	require.NoError(t, err)
	eventually(t, "bytes are being kept", func() bool { return len(s.blobs()) == 1 })
	require.NoError(t, connection.Close())
	eventually(t, "they are gone again", func() bool { return len(s.blobs()) == 0 })
	s.call(http.StatusOK, "POST", path+"/parts", string(body), "Content-Type", contentType)
}

// J5: parts are bounded each and together, by the settings.
func TestUploadsAreBoundedBySettings(t *testing.T) {
	t.Parallel()
	s := startServer(t, "limits.upload_bytes=2MB", "limits.upload_part_bytes=1MB", "limits.batch_bytes=1MB")
	for _, row := range []struct {
		purpose string
		size    int
		status  int
	}{{"user_data", 2_000_000, 200}, {"user_data", 2_000_001, 400}, {"batch", 1_000_000, 200}, {"batch", 1_000_001, 400}} {
		a := s.call(row.status, "POST", "/v1/uploads", fmt.Sprintf(`{"filename":"a.jsonl","purpose":%q,"bytes":%d,"mime_type":"x"}`, row.purpose, row.size))
		if row.status != http.StatusOK {
			require.Equal(t, "bytes", refused(t, a).Get("param").String())
		}
	}
	path := s.beginUpload("a.bin", "user_data", 1)
	send := func(status, size int) answer {
		body, contentType := form(part{"data", "chunk", strings.Repeat("x", size)})
		return s.call(status, "POST", path+"/parts", string(body), "Content-Type", contentType)
	}
	require.Equal(t, "data", refused(t, send(413, 1_000_001)).Get("param").String())
	send(200, 1_000_000)
	send(200, 1)
	require.Equal(t, "data", refused(t, send(400, 1)).Get("param").String())
	require.Len(t, s.blobs(), 2)
	body, contentType := form(part{"data", "chunk", strings.Repeat(" ", 1<<20)})
	refused(t, s.call(http.StatusUnsupportedMediaType, "POST", path+"/parts", gzipped(string(body)), "Content-Type", contentType, "Content-Encoding", "gzip"))
}
