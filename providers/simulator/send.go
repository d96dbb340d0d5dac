package simulator

import (
	"net"
	"net/http"
	"strconv"
	"time"
)

// dripPieces is in how many writes a slow body goes out.
const dripPieces = 50

// send writes the call's body as its plan says: whole, cut, or slowly.
func (c *call) send(status int) {
	c.sendAs(status, c.contentType("application/json"))
}

// contentType is what the plan asks for, else what the answer is, else usual.
func (c *call) contentType(usual string) string {
	switch {
	case c.plan.contentType != "":
		return c.plan.contentType
	case c.kind != "":
		return c.kind
	}
	return usual
}

func (c *call) sendAs(status int, contentType string) {
	c.headers(contentType)
	c.w.Header()["Content-Length"] = []string{strconv.Itoa(len(c.out))}
	c.w.WriteHeader(status)
	body := c.out
	if c.plan.truncate || c.plan.resetBody {
		body = body[:len(body)/2]
	}
	if c.plan.drip > 0 {
		c.drip(body)
	} else {
		_, _ = c.w.Write(body)
	}
	if c.plan.resetBody {
		c.flush()
		c.resetConnection()
	}
}

// drip spreads body over the plan's time.
func (c *call) drip(body []byte) {
	size := max(1, (len(body)+dripPieces-1)/dripPieces)
	pause := c.plan.drip / time.Duration(max(1, (len(body)+size-1)/size))
	for len(body) > 0 {
		n := min(size, len(body))
		if _, err := c.w.Write(body[:n]); err != nil {
			abort()
		}
		c.flush()
		c.wait(pause)
		body = body[n:]
	}
}

// flush leaves errors to the next write or to the client that goes away.
func (c *call) flush() { _ = http.NewResponseController(c.w).Flush() }

// resetConnection closes the client's connection with a TCP reset. Where there
// is none to take over (HTTP/2, a recorder) the call is aborted.
func (c *call) resetConnection() {
	conn, _, err := http.NewResponseController(c.w).Hijack()
	if err != nil {
		abort()
	}
	if wrapped, ok := conn.(interface{ NetConn() net.Conn }); ok { // TLS
		conn = wrapped.NetConn()
	}
	if tcp, ok := conn.(interface{ SetLinger(sec int) error }); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
