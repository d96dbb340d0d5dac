package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"github.com/tidwall/gjson"
)

// longestFirstLine bounds what is read to find a batch's endpoint.
const longestFirstLine = 16 << 20

const submitBatchHelp = `Upload a batch input file and submit it. Each line of FILE is one request:

  {"custom_id": "1", "method": "POST", "url": "/v1/chat/completions",
   "body": {"model": "sim-small", "messages": [{"role": "user", "content": "Hi"}]}}

FILE may also be the ID of a file that the server has, as one that was uploaded
with ringback files upload, or the error file of another batch.`

const submitBatchExample = `  ringback submit batch questions.jsonl --webhook https://example.com/hook --header 'X-Token: s3cret' --watch
  ringback submit batch questions.jsonl --name nightly --run-at 6h --priority low --json
  ringback submit batch file-01J9Z3NDEKTSV4RRFFQ69G5FAV --endpoint /v1/embeddings`

// batchSubmission is one `submit batch`.
type batchSubmission struct {
	submission
	file     string // a path, or the ID of a file that is there
	endpoint string
	window   string
}

func newSubmitBatchCommand() *cobra.Command {
	s := &batchSubmission{}
	cmd := clientCommand(&cobra.Command{
		Use:     "batch FILE",
		Short:   "Upload a batch input file (JSON lines) and submit it",
		Long:    submitBatchHelp + exitHelp(exitEnded, exitAway),
		Example: submitBatchExample,
		Args:    cobra.ExactArgs(1),
	}, func(ctx context.Context, on *session) error {
		s.file = on.args[0]
		return s.run(ctx, on)
	})
	s.addFlags(cmd)
	cmd.Flags().StringVar(&s.endpoint, "endpoint", "", "`PATH` that each line calls (default: the url of the first line)")
	cmd.Flags().StringVar(&s.window, "window", "24h", "time in which the batch must end, as 30m, 24h or 7d")
	return cmd
}

func (s *batchSubmission) run(ctx context.Context, on *session) error {
	request, upload, err := s.prepare()
	if err != nil {
		return err
	}
	if request.InputFileID, err = upload.send(ctx, on, "batch"); err != nil {
		return err
	}
	if request.Endpoint == "" {
		if request.Endpoint, err = on.client.firstURL(ctx, request.InputFileID); err != nil {
			return err
		}
	}
	batch, err := on.client.CreateBatch(ctx, request)
	if err != nil {
		return err
	}
	return s.submitted(ctx, on, batch)
}

// prepare checks the flags and the file before anything is sent. The path is ""
// where only the server can tell it.
func (s *batchSubmission) prepare() (NewBatch, Upload, error) {
	shared, err := s.body()
	if err != nil {
		return NewBatch{}, Upload{}, err
	}
	upload, err := openUpload(s.file)
	if err != nil {
		return NewBatch{}, Upload{}, err
	}
	endpoint := s.endpoint
	if endpoint == "" && upload.ID == "" {
		if endpoint, err = firstURLOf(s.file); err != nil {
			return NewBatch{}, Upload{}, err
		}
	}
	return NewBatch{Endpoint: endpoint, CompletionWindow: s.window, Submission: shared}, upload, nil
}

// firstURLOf is the url of a batch file's first line.
func firstURLOf(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	return readFirstURL(path, file)
}

// firstURL is the same of a file that the server has.
func (c *Client) firstURL(ctx context.Context, fileID string) (string, error) {
	content, err := c.Content(ctx, fileID)
	if err != nil {
		return "", err
	}
	defer content.Close()
	return readFirstURL(fileID, content)
}

func readFirstURL(name string, content io.Reader) (string, error) {
	text, err := bufio.NewReader(io.LimitReader(content, longestFirstLine)).ReadBytes('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	var line struct {
		URL string `json:"url"`
	}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	if json.Unmarshal(text, &line) != nil || line.URL == "" {
		return "", fmt.Errorf("%s: the first line is not a JSON object with a url: mend the file, or name the path with --endpoint", name)
	}
	return line.URL, nil
}

// submitted tells that a batch was taken and, if it is followed to its end, what
// it left behind.
func (s *submission) submitted(ctx context.Context, on *session, batch Batch) error {
	if err := s.accepted(ctx, on, on.print.out, batch.raw, batch.Endpoint); err != nil || !s.watch {
		return err
	}
	batch, err := on.client.Batch(ctx, batch.ID)
	if err != nil {
		return err
	}
	return on.print.object(batch.text, func(gjson.Result) error {
		if batch.OutputFileID != "" {
			err = on.print.printf("output     %s  (ringback results %s -o %s.jsonl)\n", batch.OutputFileID, batch.ID, batch.ID)
		}
		if batch.ErrorFileID != "" && err == nil {
			err = on.print.printf("errors     %s  (ringback results %s --failed)\n", batch.ErrorFileID, batch.ID)
		}
		return err
	})
}
