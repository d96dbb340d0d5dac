package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
)

func newGetCommand() *cobra.Command {
	var follow, content bool
	cmd := &cobra.Command{
		Use:   "get ID",
		Short: "Print a job or a file as JSON",
		Args:  cobra.ExactArgs(1),
	}
	connect := clientFlags(cmd)
	cmd.Flags().BoolVar(&follow, "watch", false, "follow a job to its end first; exit 0 only if it completed")
	cmd.Flags().BoolVar(&content, "content", false, "print the bytes of a file instead")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		path, isJob, err := objectPath(args[0])
		if err != nil {
			return err
		}
		client, err := connect()
		if err != nil {
			return err
		}
		defer client.Close()
		switch {
		case content && (isJob || follow):
			return usagef("--content is for files (file-…)")
		case content:
			return copyContent(cmd.Context(), client, args[0], cmd.OutOrStdout())
		case follow && isJob:
			return watchThenPrint(cmd, client, args[0], path)
		case follow:
			return usagef("--watch is for jobs (batch_…, gen_…, resp_…, ftjob-…)")
		}
		return printObject(cmd.Context(), client, path, cmd.OutOrStdout())
	}
	return cmd
}

// objectPath finds an object's path by the prefix of its ID.
func objectPath(id string) (path string, isJob bool, err error) {
	escaped := url.PathEscape(id)
	switch {
	case strings.HasPrefix(id, "batch_"):
		return "/v1/batches/" + escaped, true, nil
	case strings.HasPrefix(id, "gen_"):
		return "/v1/generate/" + escaped, true, nil
	case strings.HasPrefix(id, "resp_"):
		return "/v1/responses/" + escaped, true, nil
	case strings.HasPrefix(id, "ftjob-"):
		return "/v1/fine_tuning/jobs/" + escaped, true, nil
	case strings.HasPrefix(id, "file-"):
		return "/v1/files/" + escaped, false, nil
	}
	return "", false, usagef("%q is no ID that can be read: it begins with batch_, gen_, resp_, ftjob- or file-", id)
}

// watchThenPrint prints the object whatever the end was. Progress goes to
// stderr, so that stdout holds the object alone.
func watchThenPrint(cmd *cobra.Command, client *Client, id, path string) error {
	var s submission
	followed := s.follow(cmd.Context(), client, cmd.ErrOrStderr(), id)
	if cmd.Context().Err() != nil {
		return followed
	}
	if err := printObject(cmd.Context(), client, path, cmd.OutOrStdout()); err != nil {
		return err
	}
	return followed
}

func printObject(ctx context.Context, client *Client, path string, out io.Writer) error {
	object, err := client.Object(ctx, path)
	if err != nil {
		return err
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, object, "", "  "); err != nil {
		return fmt.Errorf("print the answer: %w", err)
	}
	pretty.WriteByte('\n')
	_, err = out.Write(pretty.Bytes())
	return err
}

func copyContent(ctx context.Context, client *Client, fileID string, out io.Writer) error {
	content, err := client.Content(ctx, fileID)
	if err != nil {
		return err
	}
	defer content.Close()
	if _, err := io.Copy(out, content); err != nil {
		return fmt.Errorf("read the content of %s: %w", fileID, err)
	}
	return nil
}
