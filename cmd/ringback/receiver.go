package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The bounds of the Standard Webhooks specification and of this receiver.
const (
	signatureTolerance = 300 * time.Second
	longestCallback    = 1 << 20
)

// Callback is one request that reached the receiver. Err is nil where its
// signature verified.
type Callback struct {
	Method string
	Path   string
	Header http.Header
	Body   []byte
	Err    error
}

// receiver is the other end of a callback, as a customer would write it: it
// shares no code with the sender. It answers 204 to what verifies, else 401.
type receiver struct {
	secret  Secret
	calls   chan Callback
	server  *http.Server
	stopped chan struct{}
	gone    chan struct{}
}

// startReceiver serves on the listener until close; calls brings what arrived.
func startReceiver(listener net.Listener, secret Secret) *receiver {
	r := &receiver{
		secret:  secret,
		calls:   make(chan Callback, 16),
		stopped: make(chan struct{}),
		gone:    make(chan struct{}),
	}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		defer close(r.stopped)
		// It ends with ErrServerClosed; the listener is ours, nothing else ends it.
		_ = r.server.Serve(listener)
	}()
	return r
}

func (r *receiver) close() {
	close(r.gone)
	closeHTTP(r.server, time.Second)
	<-r.stopped
}

// ServeHTTP verifies, hands on and answers.
func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, request.Body, longestCallback))
	if err != nil {
		http.Error(w, "the body cannot be read", http.StatusRequestEntityTooLarge)
		return
	}
	err = verifySignature(r.secret.Reveal(), request.Header, body, time.Now())
	if err != nil {
		http.Error(w, "the signature does not verify", http.StatusUnauthorized)
	} else {
		w.WriteHeader(http.StatusNoContent)
	}
	arrived := Callback{Method: request.Method, Path: request.URL.Path, Header: request.Header.Clone(), Body: body, Err: err}
	select {
	case r.calls <- arrived:
	case <-r.gone:
	}
}

// verifySignature checks a callback as the Standard Webhooks specification
// says: one of the v1 signatures is the HMAC-SHA256 of "id.timestamp.body"
// under the key in the secret, and the timestamp is at most 300 s away.
func verifySignature(secret string, header http.Header, body []byte, now time.Time) error {
	encoded, ok := strings.CutPrefix(secret, "whsec_")
	key, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil {
		return errors.New("the secret is not whsec_ and base64")
	}
	id, stamp := header.Get("webhook-id"), header.Get("webhook-timestamp")
	if id == "" || stamp == "" {
		return errors.New("webhook-id or webhook-timestamp is missing")
	}
	if err := verifyAge(stamp, now); err != nil {
		return err
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.", id, stamp)
	mac.Write(body)
	expected := mac.Sum(nil)
	for candidate := range strings.FieldsSeq(header.Get("webhook-signature")) {
		if matches(candidate, expected) {
			return nil
		}
	}
	return errors.New("no signature matches")
}

func verifyAge(stamp string, now time.Time) error {
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return errors.New("webhook-timestamp is not a number")
	}
	if age := now.Sub(time.Unix(seconds, 0)).Abs(); age > signatureTolerance {
		return fmt.Errorf("webhook-timestamp is %s away", age.Round(time.Second))
	}
	return nil
}

// matches compares in constant time, so that answers do not teach a forger.
func matches(candidate string, expected []byte) bool {
	version, encoded, _ := strings.Cut(candidate, ",")
	sum, err := base64.StdEncoding.DecodeString(encoded)
	return err == nil && version == "v1" && hmac.Equal(sum, expected)
}
