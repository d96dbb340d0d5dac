// Receiver-go receives Ringback's callbacks: it verifies each, records it once, and answers when it is safe on the disk.
// Copy the folder; it needs the standard library alone.
//
// Exactly once, and where it ends: a callback comes again until it is answered with 2xx, so it may come twice. Here an
// event's ID and all that it changes are one synced line of a journal, and a crash leaves both or neither: each event
// counts once. The same holds where the ID and the work are rows of one database transaction. Work elsewhere (a mail, a
// call to another service) cannot be in that write: do it afterwards from what was recorded, mark it done, and give the
// other side the event's ID as its idempotency key, because a crash before the mark does it again. That is at least once.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

const longestBody = 1 << 20 // Ringback's own bound is lower: limits.event_bytes, 256 KiB by default

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

// run serves until the context ends, then closes in order: requests, fetches, journal.
func run(ctx context.Context) error {
	secrets := strings.Split(os.Getenv("RINGBACK_SECRET"), ",") // two while you rotate
	for _, secret := range secrets {
		if !regexp.MustCompile(`^whsec_[A-Za-z0-9+/]{32,}=*$`).MatchString(secret) {
			return errors.New("set RINGBACK_SECRET to what GET /v1/webhooks/default/secret says; two are separated by a comma")
		}
	}
	j, err := openJournal(cmp.Or(os.Getenv("DATA"), "receiver-data"))
	if err != nil {
		return err
	}
	defer j.file.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:"+cmp.Or(os.Getenv("PORT"), "3000"))
	if err != nil {
		return err
	}
	fmt.Printf("listening on http://%s\n", listener.Addr())

	f := &fetcher{
		journal: j, client: &http.Client{Timeout: 30 * time.Second, CheckRedirect: stay},
		server: cmp.Or(os.Getenv("RINGBACK_SERVER"), "http://127.0.0.1:8787"), key: os.Getenv("RINGBACK_API_KEY"),
	}
	fetching := make(chan struct{})
	go func() { defer close(fetching); f.run(ctx) }()

	server := &http.Server{Handler: &receiver{secrets, j}, ReadTimeout: 10 * time.Second, WriteTimeout: 20 * time.Second}
	serving := make(chan error, 1)
	go func() { serving <- server.Serve(listener) }()
	select {
	case err := <-serving:
		return err
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err = server.Shutdown(last)
	<-fetching
	return err
}

// stay keeps the fetcher where it was sent.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

type receiver struct {
	secrets []string
	journal *journal
}

// event is what this receiver reads of a callback's body.
type event struct {
	Type      string `json:"type"`
	Sequence  int64  `json:"sequence"` // counts the job's events, which may arrive in another order
	Omitted   bool   `json:"response_omitted"`
	ResultURL string `json:"result_url"`
	Data      struct {
		ID string `json:"id"` // the job
	} `json:"data"`
}

// ServeHTTP answers 204 when the event is safe, be it new or known. All else is not 2xx, and Ringback sends it again.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "callbacks are POSTs", http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, longestBody)) // raw: the signature is over these bytes
	if tooLong := new(http.MaxBytesError); errors.As(err, &tooLong) {
		http.Error(w, "the body is over 1 MiB", http.StatusRequestEntityTooLarge)
		return
	}
	if err != nil || !slices.ContainsFunc(r.secrets, func(s string) bool { return verify(s, req.Header, body) }) {
		http.Error(w, "the signature does not verify", http.StatusUnauthorized)
		return
	}
	var e event
	if err := json.Unmarshal(body, &e); err != nil {
		http.Error(w, "the body is not an event", http.StatusBadRequest)
		return
	}
	received := entry{ID: req.Header.Get("webhook-id"), Job: e.Data.ID, Sequence: e.Sequence, Type: e.Type, Body: string(body)}
	if e.Omitted {
		received.ResultURL = e.ResultURL
	}
	fresh, err := r.journal.receive(received)
	if err != nil {
		log.Fatalf("the journal cannot be written, free its disk and start again: %v", err)
	}
	log.Printf("%s %s %s new=%t", received.ID, received.Job, received.Type, fresh)
	w.WriteHeader(http.StatusNoContent)
}
