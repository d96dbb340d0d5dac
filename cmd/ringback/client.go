package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
)

// The client commands' environment; the server reads neither.
const (
	envServer     = "RINGBACK_SERVER"
	envAPIKey     = "RINGBACK_API_KEY"
	defaultServer = "http://127.0.0.1:8787"
)

const (
	clientTries       = 5
	firstRetryDelay   = 200 * time.Millisecond
	longestRetryDelay = 10 * time.Second
	// answerTimeout is longer than the longest long poll.
	answerTimeout = 90 * time.Second
	// longestAnswer bounds the JSON that the client holds in memory.
	longestAnswer = 64 << 20
)

// Client speaks Ringback's HTTP API. Its methods send a request again, a few
// times, after a lost connection, a 5xx, or a 409 or 429 with Retry-After;
// creating calls carry one Idempotency-Key over all tries, so that nothing is
// made twice. Errors are *APIError where the server answered.
type Client struct {
	server string
	key    string
	http   *http.Client
	tries  int
	delay  time.Duration // before the first retry; doubles
}

// NewClient returns a client for the server at a base URL without /v1; key ""
// sends none.
func NewClient(server, key string) *Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = answerTimeout
	return &Client{
		server: strings.TrimRight(server, "/"),
		key:    key,
		http:   &http.Client{Transport: transport},
		tries:  clientTries,
		delay:  firstRetryDelay,
	}
}

// clientFlags adds --server and --key and returns what makes the client.
func clientFlags(cmd *cobra.Command) func() (*Client, error) {
	var server, key string
	cmd.Flags().StringVar(&server, "server", "", "`URL` of the server (default $RINGBACK_SERVER, else "+defaultServer+")")
	cmd.Flags().StringVar(&key, "key", "", "API key (better in $RINGBACK_API_KEY)")
	return func() (*Client, error) { return connectTo(server, key) }
}

// connectTo takes from the environment what the flags leave out.
func connectTo(server, key string) (*Client, error) {
	server = firstSet(server, os.Getenv(envServer), defaultServer)
	u, err := url.Parse(server)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, usagef("%q is not a server's URL, as in %s", server, defaultServer)
	}
	return NewClient(strings.TrimSuffix(strings.TrimRight(server, "/"), "/v1"), firstSet(key, os.Getenv(envAPIKey))), nil
}

// firstSet is the first text that is not empty.
func firstSet(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

// Close drops the connections that are kept open.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// call is one request, made anew for each try.
type call struct {
	method      string
	path        string // with its query
	contentType string
	idempotency string
	length      int64
	single      bool                          // it must not be sent again
	body        func() (io.ReadCloser, error) // nil: no body
}

func (c *Client) get(ctx context.Context, path string, into any) error {
	return c.decode(ctx, call{method: http.MethodGet, path: path}, into)
}

// post sends a command that may be sent again, with a JSON body or nil, and
// gives the answer's bytes.
func (c *Client) post(ctx context.Context, path string, body any) (answer json.RawMessage, err error) {
	request, err := jsonCall(path, body)
	if err != nil {
		return nil, err
	}
	err = c.decode(ctx, request, &answer)
	return answer, err
}

// postOnce sends a command that would do more if it were sent again.
func (c *Client) postOnce(ctx context.Context, path string, body any) (answer json.RawMessage, err error) {
	request, err := jsonCall(path, body)
	if err != nil {
		return nil, err
	}
	request.single = true
	err = c.decode(ctx, request, &answer)
	return answer, err
}

// delete removes an object.
func (c *Client) delete(ctx context.Context, path string) (json.RawMessage, error) {
	var answer json.RawMessage
	err := c.decode(ctx, call{method: http.MethodDelete, path: path}, &answer)
	return answer, err
}

// create posts a JSON body under a fresh Idempotency-Key.
func (c *Client) create(ctx context.Context, path string, body, into any) error {
	request, err := jsonCall(path, body)
	if err != nil {
		return err
	}
	request.idempotency = uuid.NewString()
	return c.decode(ctx, request, into)
}

// jsonCall is a POST with a JSON body; nil is an empty object.
func jsonCall(path string, body any) (call, error) {
	if body == nil {
		body = struct{}{}
	}
	text, err := json.Marshal(body)
	if err != nil {
		return call{}, fmt.Errorf("write the request: %w", err)
	}
	return call{
		method:      http.MethodPost,
		path:        path,
		contentType: "application/json",
		length:      int64(len(text)),
		body:        func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil },
	}, nil
}

// decode sends a call and reads its JSON answer.
func (c *Client) decode(ctx context.Context, request call, into any) error {
	answer, err := c.send(ctx, request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, longestAnswer))
	if err != nil {
		return fmt.Errorf("read the answer of %s: %w", request.path, err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s%s answered something that is not Ringback's: %w", c.server, request.path, err)
	}
	if object, ok := into.(interface{ keep([]byte) }); ok {
		object.keep(text)
	}
	return nil
}
