package web

import (
	"bytes"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
)

// frames writes server-sent events to one client. After the first error it writes nothing more.
type frames struct {
	w       http.ResponseWriter
	conn    *http.ResponseController
	patient time.Duration // how long one write may wait for the client
	wrote   time.Time
	err     error
}

// openFrames begins the answer. The connection is closed at its end: the deadline of the last write stays on it.
func openFrames(c *gin.Context, patient time.Duration) *frames {
	h := c.Writer.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // nginx would hold events back
	h.Set("Connection", "close")
	c.Writer.WriteHeaderNow()
	return &frames{w: c.Writer, conn: http.NewResponseController(below(c.Writer)), patient: patient, wrote: time.Now()}
}

// below is the writer under gin's, whose own Flush drops the error.
func below(w http.ResponseWriter) http.ResponseWriter {
	if u, ok := w.(interface{ Unwrap() http.ResponseWriter }); ok {
		return u.Unwrap()
	}
	return w
}

// begin tells the client how long to wait before it comes back, and where it stands: one that is cut off before its first
// event goes on from here.
func (f *frames) begin(retry time.Duration, place string) {
	f.write([]byte("retry: " + strconv.FormatInt(retry.Milliseconds(), 10) + "\nid: " + place + "\n\n"))
}

// ping says that the stream lives; clients drop it.
func (f *frames) ping() { f.write([]byte(": ping\n\n")) }

// event writes one event. Each line of its body is a data line; the client puts \n between them, and CR, which would
// end a line too, becomes that.
func (f *frames) event(id, typ string, body []byte) {
	body = bytes.ReplaceAll(body, []byte("\r\n"), []byte("\n"))
	body = bytes.ReplaceAll(body, []byte("\r"), []byte("\n"))
	var b bytes.Buffer
	b.WriteString("id: " + id + "\nevent: " + typ + "\n")
	for line := range bytes.SplitSeq(body, []byte("\n")) {
		b.WriteString("data: ")
		b.Write(line)
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
	f.write(b.Bytes())
}

// writePiece is what must get through within one deadline: a slow client gets a large event too.
const writePiece = 16 << 10

func (f *frames) write(text []byte) {
	f.wrote = time.Now()
	for piece := range slices.Chunk(text, writePiece) {
		if f.err != nil {
			return
		}
		f.limit()
		_, f.err = f.w.Write(piece)
	}
}

// flush sends what is written and tells whether the client still takes it.
func (f *frames) flush() bool {
	if f.err == nil {
		f.limit()
		f.err = f.conn.Flush()
	}
	return f.err == nil
}

// limit gives the next write its own deadline. Where a connection knows no deadlines (a test's), there is none.
func (f *frames) limit() { _ = f.conn.SetWriteDeadline(time.Now().Add(f.patient)) }

// silent is how long nothing has been written.
func (f *frames) silent() time.Duration { return time.Since(f.wrote) }
