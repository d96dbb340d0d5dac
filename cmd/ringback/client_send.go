package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// send tries a call until it is answered with 2xx or trying again is of no
// use. The caller closes the body.
func (c *Client) send(ctx context.Context, request call) (*http.Response, error) {
	delay := c.delay
	for try := 1; ; try++ {
		answer, err := c.once(ctx, request)
		if err == nil && answer.StatusCode < 300 {
			return answer, nil
		}
		wait := delay/2 + rand.N(delay) // jitter, so that clients do not come back at once
		again := err != nil
		if err == nil {
			again, wait, err = c.refused(answer, wait)
		}
		if ctx.Err() != nil || !again || request.single || try >= c.tries {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(wait):
		}
		delay *= 2
	}
}

func (c *Client) once(ctx context.Context, request call) (*http.Response, error) {
	var body io.ReadCloser
	if request.body != nil {
		opened, err := request.body()
		if err != nil {
			return nil, err
		}
		body = opened
	}
	out, err := http.NewRequestWithContext(ctx, request.method, c.server+request.path, body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		out.ContentLength = request.length
		out.Header.Set("Content-Type", request.contentType)
	}
	if request.idempotency != "" {
		out.Header.Set("Idempotency-Key", request.idempotency)
	}
	if c.key != "" {
		out.Header.Set("Authorization", "Bearer "+c.key)
	}
	answer, err := c.http.Do(out)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	return answer, nil
}

// refused reads an error answer and tells whether, and after what time, the
// same call may do better.
func (c *Client) refused(answer *http.Response, wait time.Duration) (again bool, after time.Duration, err error) {
	defer answer.Body.Close()
	retryAfter, told := retryAfter(answer.Header)
	switch {
	case answer.Header.Get("x-should-retry") == "false":
	case answer.StatusCode == http.StatusConflict || answer.StatusCode == http.StatusTooManyRequests:
		again = told
	default:
		again = answer.StatusCode >= 500
	}
	return again, min(max(wait, retryAfter), longestRetryDelay), readAPIError(answer)
}

// retryAfter reads whole seconds; a date is not understood and told is false.
func retryAfter(header http.Header) (wait time.Duration, told bool) {
	seconds, err := strconv.ParseUint(header.Get("Retry-After"), 10, 31)
	return time.Duration(seconds) * time.Second, err == nil
}

// unreachable says what to do about a server that did not answer.
func (c *Client) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var failed *url.Error
	if errors.As(err, &failed) {
		err = failed.Err
	}
	return awayError{fmt.Errorf("no answer from %s (%w): is `ringback serve` running there? --server or %s names another", c.server, err, envServer)}
}
