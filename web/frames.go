package web

import (
	"bytes"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
)

// frames writes server-sent events to one client. After the first error it writes nothing more.
type frames struct {
	w     http.ResponseWriter
	conn  *http.ResponseController
	pace  pace
	wrote time.Time
	err   error
}

// openFrames begins the answer. The connection is closed at its end: the deadline of the last write stays on it.
func openFrames(c *gin.Context, pace pace) *frames {
	h := c.Writer.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // nginx would hold events back
	h.Set("Connection", "close")
	c.Writer.WriteHeaderNow()
	return &frames{w: c.Writer, conn: http.NewResponseController(below(c.Writer)), pace: pace, wrote: time.Now()}
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
	f.limit(0)
	f.text("retry: " + strconv.FormatInt(retry.Milliseconds(), 10) + "\nid: " + place + "\n\n")
}

// ping says that the stream lives; clients drop it.
func (f *frames) ping() {
	f.limit(0)
	f.text(": ping\n\n")
}

// event writes one event, within one deadline and without a copy of its body: a client that stalls here holds what was
// read of the store, and no more. Each line of the body is a data line; the client puts \n between them, and CR, which
// would end a line too, becomes that.
func (f *frames) event(id, typ string, body []byte) {
	f.limit(len(body))
	f.text("id: " + id + "\nevent: " + typ + "\n")
	f.data(body)
}

// data writes a body's lines, and the empty line that ends the event.
func (f *frames) data(body []byte) {
	for line, rest, more := cutLine(body); ; line, rest, more = cutLine(rest) {
		f.text("data: ")
		f.write(line)
		f.text("\n")
		if !more {
			break
		}
	}
	f.text("\n")
}

// cutLine cuts text at its first LF, CR or CRLF; more tells whether there is one.
func cutLine(text []byte) (line, rest []byte, more bool) {
	at := bytes.IndexAny(text, "\r\n")
	if at < 0 {
		return text, nil, false
	}
	if bytes.HasPrefix(text[at:], []byte("\r\n")) {
		return text[:at], text[at+2:], true
	}
	return text[:at], text[at+1:], true
}

func (f *frames) text(s string) { f.write([]byte(s)) }

func (f *frames) write(text []byte) {
	if f.err == nil {
		_, f.err = f.w.Write(text)
		f.wrote = time.Now()
	}
}

// flush sends what is written and tells whether the client still takes it.
func (f *frames) flush() bool {
	if f.err == nil {
		f.limit(0)
		f.err = f.conn.Flush()
	}
	return f.err == nil
}

// limit gives the writes to come, of n bytes, their own deadline. Where a connection knows no deadlines (a test's), there
// is none.
func (f *frames) limit(n int) { _ = f.conn.SetWriteDeadline(time.Now().Add(f.pace.patience(n))) }

// silent is how long nothing has been written.
func (f *frames) silent() time.Duration { return time.Since(f.wrote) }
