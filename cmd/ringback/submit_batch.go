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
	"path/filepath"

	"github.com/spf13/cobra"
)

// longestFirstLine bounds what is read to find a batch's endpoint.
const longestFirstLine = 16 << 20

// batchSubmission is one `submit batch`.
type batchSubmission struct {
	submission
	file     string
	endpoint string
	window   string
}

func newSubmitBatchCommand(connect func() (*Client, error)) *cobra.Command {
	s := &batchSubmission{}
	cmd := &cobra.Command{
		Use:   "batch FILE",
		Short: "Upload a batch input file (JSON lines) and submit it",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := connect()
			if err != nil {
				return err
			}
			defer client.Close()
			s.file = args[0]
			return s.run(cmd.Context(), client, cmd.OutOrStdout())
		},
	}
	s.addFlags(cmd)
	cmd.Flags().StringVar(&s.endpoint, "endpoint", "", "`PATH` that each line calls (default: the url of the first line)")
	cmd.Flags().StringVar(&s.window, "window", "24h", "time in which the batch must end, as 30m, 24h or 7d")
	return cmd
}

func (s *batchSubmission) run(ctx context.Context, client *Client, out io.Writer) error {
	request, upload, err := s.prepare()
	if err != nil {
		return err
	}
	file, err := client.UploadBatchFile(ctx, upload)
	if err != nil {
		return err
	}
	request.InputFileID = file.ID
	batch, err := client.CreateBatch(ctx, request)
	if err != nil {
		return err
	}
	if err := s.accepted(out, file, batch); err != nil || !s.watch {
		return err
	}
	if err := s.follow(ctx, client, out, batch.ID); err != nil {
		return err
	}
	return s.summary(ctx, client, out, batch.ID)
}

// prepare checks the flags and the file before anything is sent.
func (s *batchSubmission) prepare() (NewBatch, Upload, error) {
	webhook, err := s.callback()
	if err != nil {
		return NewBatch{}, Upload{}, err
	}
	metadata, err := pairs("metadata", s.metadata)
	if err != nil {
		return NewBatch{}, Upload{}, err
	}
	info, err := os.Stat(s.file)
	if err != nil {
		return NewBatch{}, Upload{}, err
	}
	endpoint := s.endpoint
	if endpoint == "" {
		if endpoint, err = firstURL(s.file); err != nil {
			return NewBatch{}, Upload{}, err
		}
	}
	upload := Upload{
		Name: filepath.Base(s.file),
		Size: info.Size(),
		Open: func() (io.ReadCloser, error) { return os.Open(s.file) },
	}
	return NewBatch{Endpoint: endpoint, CompletionWindow: s.window, Metadata: metadata, Webhook: webhook}, upload, nil
}

// firstURL is the url of a batch file's first line.
func firstURL(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	text, err := bufio.NewReader(io.LimitReader(file, longestFirstLine)).ReadBytes('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	var line struct {
		URL string `json:"url"`
	}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	if json.Unmarshal(text, &line) != nil || line.URL == "" {
		return "", fmt.Errorf("%s: the first line is not a JSON object with a url: mend the file, or name the path with --endpoint", path)
	}
	return line.URL, nil
}

func (s *batchSubmission) accepted(out io.Writer, file File, batch Batch) error {
	if s.json {
		return printLine(out, batch.text)
	}
	_, err := fmt.Fprintf(out, "uploaded   %s  (%s, %s bytes)\naccepted   %s  (%s)\n",
		file.ID, filepath.Base(s.file), grouped(int(file.Bytes)), batch.ID, batch.Endpoint)
	if err == nil && !s.watch {
		_, err = fmt.Fprintf(out, "follow it  ringback get %s --watch\n", batch.ID)
	}
	return err
}

// summary names what a completed batch left behind.
func (s *batchSubmission) summary(ctx context.Context, client *Client, out io.Writer, id string) error {
	batch, err := client.Batch(ctx, id)
	if err != nil {
		return err
	}
	if s.json {
		return printLine(out, batch.text)
	}
	if batch.OutputFileID != "" {
		fmt.Fprintf(out, "output     %s  (ringback get %s --content)\n", batch.OutputFileID, batch.OutputFileID)
	}
	if batch.ErrorFileID != "" {
		fmt.Fprintf(out, "errors     %s  (ringback get %s --content)\n", batch.ErrorFileID, batch.ErrorFileID)
	}
	return nil
}
