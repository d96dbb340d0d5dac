package providers

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"

	openai "github.com/sashabaranov/go-openai"
	"github.com/tidwall/gjson"
)

const filesPath = "/files"

const (
	// slowest is the rate, in bytes a second, below which a transfer is given up.
	slowest = 1_000_000
	// longestTransfer is far above what the files of an upstream take.
	longestTransfer = 24 * time.Hour
)

// Upload is a file for an upstream.
type Upload struct {
	Name    string // as the upstream will list it
	Purpose string // OpenAI's, like "fine-tune"
	Size    int64  // exactly so many bytes are read from Content
	Content io.Reader
}

// UploadFile sends a file as it is read, in constant memory, and returns the
// upstream's ID of it. It has a second for each megabyte beyond the configured
// timeout. When it returns, Content is no longer read. The error is always an
// *[Error]; one of a broken transfer may have come after the upstream took the
// file: look with [Provider.FindFile] before sending it again.
func (p *Provider) UploadFile(ctx context.Context, f Upload) (id string, err error) {
	callCtx, cancel := context.WithTimeout(ctx, p.config.Timeout+transferTime(f.Size))
	defer cancel()
	req, err := p.uploadRequest(callCtx, f)
	if err != nil {
		return "", err
	}
	answer, failure := p.exchange(ctx, req)
	failure = settled(ctx, req, failure)
	if failure != nil {
		p.logFailure(ctx, Request{Path: req.URL.Path}, failure)
		return "", failure
	}
	file := fields{object: gjson.ParseBytes(answer.Body)}
	if id = file.id("id"); id == "" {
		return "", unreadable(answer, "id")
	}
	return id, nil
}

func transferTime(size int64) time.Duration {
	return min(time.Duration(size/slowest), longestTransfer/time.Second) * time.Second
}

func (p *Provider) uploadRequest(ctx context.Context, f Upload) (*http.Request, error) {
	if f.Content == nil {
		return nil, unsendable(errors.New("an upload needs its content"))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.address()+filesPath, http.NoBody)
	if err != nil {
		return nil, unsendable(err)
	}
	p.dress(req, ask{})
	form := Form{
		Fields: [][2]string{{"purpose", f.Purpose}}, File: "file", Name: f.Name, Size: f.Size,
		Open: func() (io.ReadCloser, error) { return io.NopCloser(f.Content), nil },
	}
	return req, form.attach(req)
}

// FindFile looks for a file of that name among the upstream's files of a purpose,
// newest first and at most 10 pages of 100; of several on a page it takes the
// newest. A file that the upstream marks as faulty is not found, and at one that
// lists no files none is. The error is always an *[Error].
func (p *Provider) FindFile(ctx context.Context, name, purpose string) (id string, found bool, err error) {
	search := fileSearch{name: name, purpose: purpose}
	err = p.pages(findPages, func(after string) (Answer, error) {
		query := cursor(url.Values{"purpose": {purpose}, "order": {"desc"}}, after)
		return p.through(ctx, ask{timeout: pollTimeout, query: query}, func(ctx context.Context, c *openai.Client) error {
			_, err := c.ListFiles(ctx)
			return err
		})
	}, search.take)
	if err != nil && !lacks(err) {
		return "", false, err
	}
	return search.id, search.id != "", nil
}

type fileSearch struct {
	name, purpose string
	id            string
	created       int64
}

func (s *fileSearch) take(items []gjson.Result) (more bool) {
	for _, item := range items {
		f := fields{object: item}
		if f.text("filename") != s.name || !s.serves(f.text("purpose")) || f.text("status") == "error" {
			continue
		}
		if created := f.number("created_at"); s.id == "" || created > s.created {
			s.id, s.created = f.id("id"), created
		}
	}
	return s.id == ""
}

// serves takes a file whose purpose is left out: the list was asked for one.
func (s *fileSearch) serves(purpose string) bool { return purpose == "" || purpose == s.purpose }
