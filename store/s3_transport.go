package store

import (
	"context"
	"net"
	"net/http"
	"time"
)

// s3Transport gives connections that break when nothing moves on them for as long as stall. HTTP/1 alone: one connection
// is one transfer.
func s3Transport(stall time.Duration) *http.Transport {
	dialer := &net.Dialer{Timeout: min(10*time.Second, stall)}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &stallConn{conn, stall}, nil
		},
		TLSHandshakeTimeout:   min(10*time.Second, stall),
		ResponseHeaderTimeout: stall,
		IdleConnTimeout:       stall / 2, // before its own deadline breaks it, which may be while it is taken up again
		MaxIdleConnsPerHost:   64,
		WriteBufferSize:       64 << 10,
		ReadBufferSize:        64 << 10,
		DisableCompression:    true, // bytes come as they were kept
	}
}

// stallConn bounds each wait for the other side, not the whole transfer: a large body on a slow line is fine.
type stallConn struct {
	net.Conn
	stall time.Duration
}

func (c *stallConn) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.stall)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

// Write moves the deadline of reading too: the HTTP client waits for the answer from before the body is sent.
func (c *stallConn) Write(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.stall)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
