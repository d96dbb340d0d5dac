package simulator

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/rawjson"
)

// answerLines gives each line of the input to the simulator's own routes, some
// at once, and writes what they answer in the order in which they end.
func (r *batchRun) answerLines(b batch) (expired bool, err error) {
	content, err := r.a.content(b.Input)
	if err != nil {
		return false, err
	}
	defer func() { _ = content.Close() }()
	lines := make(chan string)
	var workers sync.WaitGroup
	var failed error
	for range batchWorkers {
		workers.Go(func() {
			for line := range lines {
				if err := r.answerLine(b, line); err != nil {
					r.mu.Lock()
					failed = err
					r.mu.Unlock()
				}
			}
		})
	}
	err = eachLine(content, func(_ int, line []byte) error {
		if !r.s.now().Before(b.expires()) {
			expired = true
			return r.expire(line)
		}
		select {
		case lines <- string(line):
			return nil
		case <-r.ctx.Done():
			return r.ctx.Err()
		}
	})
	close(lines)
	workers.Wait()
	if errors.Is(err, context.Canceled) {
		err = nil // cancelled: what is done is kept
	}
	return expired, errors.Join(err, failed)
}

// answerLine answers one line and writes it down, unless the batch was
// cancelled meanwhile.
func (r *batchRun) answerLine(b batch, raw string) error {
	line := gjson.Parse(raw)
	got := r.s.answerLine(r.ctx, b.Path, line.Get("body").Raw)
	if r.ctx.Err() != nil {
		return nil //nolint:nilerr // the line stays without an answer, which is no failure of the work
	}
	to, count := &r.output, &r.completed
	if got.status < 200 || got.status > 299 {
		to, count = &r.lost, &r.failed
	}
	usage := gjson.GetBytes(got.body.Bytes(), "usage")
	r.inputTokens.Add(usage.Get("prompt_tokens").Int() + usage.Get("input_tokens").Int())
	r.outputTokens.Add(usage.Get("completion_tokens").Int() + usage.Get("output_tokens").Int())
	out := appendLineHead(nil, line.Get("custom_id").Str)
	out = appendInt(out, `{"status_code":`, got.status)
	out = appendString(append(out, `,"request_id":`...), got.header.Get("X-Request-Id"))
	out = append(append(append(out, `,"body":`...), got.body.Bytes()...), `},"error":null}`...)
	return r.write(to, out, count)
}

// expire writes the error of a line that was never answered.
func (r *batchRun) expire(raw []byte) error {
	out := appendLineHead(nil, gjson.GetBytes(raw, "custom_id").Str)
	out = append(out, `null,"error":{"code":"batch_expired","message":`+
		`"This request could not be executed before the completion window expired."}}`...)
	return r.write(&r.lost, out, &r.failed)
}

func (r *batchRun) write(to *lineFile, line []byte, count *atomic.Int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	count.Add(1)
	return to.write(r.a, line)
}

func appendLineHead(dst []byte, customID string) []byte {
	dst = append(append(dst, `{"id":"`...), newID("batch_req_")...)
	dst = appendString(append(dst, `","custom_id":`...), customID)
	return append(dst, `,"response":`...)
}

// A lineFile is an output or error file while it is written; it is made with its
// first line.
type lineFile struct {
	spool spool
	w     *bufio.Writer
}

func (f *lineFile) write(a *account, line []byte) (err error) {
	if f.w == nil {
		if f.spool, err = a.spool(); err != nil {
			return err
		}
		f.w = bufio.NewWriter(f.spool)
	}
	_, err = f.w.Write(append(line, '\n'))
	return err
}

// keep makes the file one of the account's. Its ID follows from the batch's, so
// that a batch that is finished twice has one. Without a line there is none.
func (f *lineFile) keep(a *account, batchID, kind string, now time.Time) (id string, err error) {
	if f.w == nil {
		return "", nil
	}
	if err := f.w.Flush(); err != nil {
		return "", err
	}
	id = string(appendHex([]byte(filePrefix), mix(hash(hash(hashStart, batchID), kind))))
	_, err = a.keepFile(f.spool, file{
		ID: id, Name: fmt.Sprintf("%s_%s.jsonl", batchID, kind), Purpose: "batch_output", Created: now, Lifetime: maxLifetime,
	})
	return id, err
}

func (f *lineFile) discard() {
	if f.w != nil {
		f.spool.discard()
	}
}

// A lineAnswer takes what a route answers to a line of a batch. It has no
// connection, so that a simulated reset ends the line with an error.
type lineAnswer struct {
	status int
	header http.Header
	body   bytes.Buffer
}

func (l *lineAnswer) Header() http.Header         { return l.header }
func (l *lineAnswer) Write(b []byte) (int, error) { return l.body.Write(b) }
func (l *lineAnswer) WriteHeader(status int)      { l.status = status }

// answerLine asks one of the simulator's own routes. What ends without an answer
// that is JSON is a server error.
func (s *Simulator) answerLine(ctx context.Context, path, body string) *lineAnswer {
	l := &lineAnswer{status: http.StatusOK, header: http.Header{}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, path, bytes.NewReader([]byte(body)))
	if err == nil {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+s.opts.APIKey)
		err = s.into(l, req)
	}
	if err != nil || !rawjson.Valid(l.body.Bytes()) {
		l.status = http.StatusInternalServerError
		l.body.Reset()
		l.body.Write(failure(http.StatusInternalServerError).appendTo(nil))
	}
	return l
}

// into serves one request; a call that is aborted is an error.
func (s *Simulator) into(l *lineAnswer, req *http.Request) (err error) {
	defer func() {
		switch cause := recover(); cause {
		case nil:
		case http.ErrAbortHandler:
			err = http.ErrAbortHandler
		default:
			panic(cause)
		}
	}()
	s.mux.ServeHTTP(l, req)
	return nil
}
