package jobs

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/tidwall/gjson"
)

// BatchRequest is one request of a batch that came with its submission, each value as it stood there. All but the body
// may be nil.
type BatchRequest struct{ CustomID, Method, URL, Body json.RawMessage }

// createWithInput keeps the requests that came with a submission as its input file, so that all that follows is as for
// one that was uploaded. The file commits with the job; bytes that a crash leaves before that go with the orphans.
func (s *Service) createWithInput(ctx context.Context, n NewJob, requests []BatchRequest) (Snapshot, error) {
	sp, err := s.Spool(ctx, &lineStream{from: &inlineLines{requests: requests, path: n.Job.Path}})
	if err != nil {
		return Snapshot{}, err
	}
	f, err := s.newFile(sp, NewFile{ProjectID: n.Job.ProjectID, Filename: n.Job.ID + "_input.jsonl", Purpose: PurposeBatch})
	var made Snapshot
	if err == nil {
		n.Job.InputFileID, n.File = f.ID, &f
		made, err = s.create(ctx, n)
	}
	if err != nil {
		return Snapshot{}, undo(ctx, s.Blobs, err, sp.Blob)
	}
	return made, nil
}

// checkRequests bounds how many there are; what they say is judged with the file that they become.
func (s *Service) checkRequests(requests []BatchRequest) error {
	const name = "requests"
	switch most := s.Limits.BatchLines; {
	case len(requests) == 0:
		return Errorf(CodeValue, name, "Invalid value for '%s': it must hold at least one request.", name)
	case len(requests) > most:
		return Errorf(CodeValue, name, "Invalid value for '%s': it holds %d requests; at most %d are accepted (limits.batch_lines). Split them.", name, len(requests), most)
	}
	return nil
}

// inlineLines are the lines of an input file that requests make. What they leave out is added: POST, the batch's
// endpoint, and a custom_id that counts them from request-1 on.
type inlineLines struct {
	requests []BatchRequest
	path     string
	n        int // so many are written
	taken    map[string]bool
}

func (l *inlineLines) next() ([]byte, error) {
	if l.n == len(l.requests) {
		return nil, io.EOF
	}
	q := l.requests[l.n]
	l.n++
	b := make([]byte, 0, len(q.Body)+len(q.CustomID)+len(l.path)+64)
	b = append(append(b, `{"custom_id":`...), orText(q.CustomID, l.name())...)
	b = append(append(b, `,"method":`...), orText(q.Method, "POST")...)
	b = append(append(b, `,"url":`...), orText(q.URL, l.path)...)
	b = append(append(b, `,"body":`...), q.Body...)
	return append(inOneLine(b), '}'), nil
}

// name counts a request that brings no custom_id. Where another one has that name, it goes on until it is its own.
func (l *inlineLines) name() string {
	if l.taken == nil {
		l.taken = map[string]bool{}
		for _, q := range l.requests {
			l.taken[gjson.ParseBytes(q.CustomID).String()] = true
		}
	}
	name := fmt.Sprintf("request-%d", l.n)
	for l.taken[name] {
		name += "_"
	}
	l.taken[name] = true
	return name
}

// orText is a value, or a text where it was left out.
func orText(raw json.RawMessage, text string) []byte {
	if raw == nil {
		return encode(text)
	}
	return raw
}
