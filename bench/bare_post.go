package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// postCommand is the loop that somebody would write instead of having
// Ringback call back: it signs and posts, and keeps no record of anything.
func postCommand(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("post", flag.ContinueOnError)
	to := flags.String("url", "", "`URL` of the receiver")
	secret := flags.String("secret", "", "`whsec_...` that signs")
	in := flags.String("in", "", "`FILE` with one event a line")
	workers := flags.Int("concurrency", 64, "callbacks open at once")
	if err := flags.Parse(args); err != nil {
		return err
	}
	messages, err := readMessages(*in)
	if err != nil {
		return err
	}
	poster, err := newBarePoster(*to, *secret, *workers)
	if err != nil {
		return err
	}
	started := time.Now()
	if err := poster.run(ctx, messages, *workers); err != nil {
		return err
	}
	return json.NewEncoder(stdout).Encode(bareReport{time.Since(started)})
}

// message is a callback before it is signed.
type message struct {
	id   string
	body []byte
}

func readMessages(path string) ([]message, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var messages []message
	scanner := bufio.NewScanner(file)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		var line eventLine
		if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
			return nil, err
		}
		messages = append(messages, message{line.ID, bytes.Clone(scanner.Bytes())})
	}
	return messages, scanner.Err()
}

// barePoster signs as Ringback does: a v1 by the secret, a v1a by a key pair.
type barePoster struct {
	to      string
	key     []byte
	private ed25519.PrivateKey
	http    *http.Client
}

func newBarePoster(to, secret string, workers int) (*barePoster, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		return nil, err
	}
	_, private, err := ed25519.GenerateKey(nil)
	return &barePoster{to: to, key: key, private: private, http: keptConnections(workers)}, err
}

// run ends at the first error.
func (p *barePoster) run(ctx context.Context, messages []message, workers int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	queue := make(chan message, workers)
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for m := range queue {
				if err := p.post(ctx, m); err != nil {
					cancel(err)
				}
			}
		})
	}
	for _, m := range messages {
		queue <- m
	}
	close(queue)
	group.Wait()
	return context.Cause(ctx)
}

func (p *barePoster) post(ctx context.Context, m message) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.to, bytes.NewReader(m.body))
	if err != nil {
		return err
	}
	stamp := strconv.FormatInt(time.Now().Unix(), 10)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("webhook-id", m.id)
	request.Header.Set("webhook-timestamp", stamp)
	request.Header.Set("webhook-signature", p.sign(m, stamp))
	answer, err := p.http.Do(request)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, answer.Body)
	if answer.StatusCode/100 != 2 {
		err = fmt.Errorf("the receiver answered %s to %s", answer.Status, m.id)
	}
	return errors.Join(err, answer.Body.Close())
}

func (p *barePoster) sign(m message, stamp string) string {
	signed := append([]byte(m.id+"."+stamp+"."), m.body...)
	mac := hmac.New(sha256.New, p.key)
	mac.Write(signed)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)) +
		" v1a," + base64.StdEncoding.EncodeToString(ed25519.Sign(p.private, signed))
}
