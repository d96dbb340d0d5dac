package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/tidwall/gjson"
)

// aFile stands in examples.
const aFile = "file-01J9Z3NDEKTSV4RRFFQ69G5FAV"

func newFilesCommand() *cobra.Command {
	return group("files", "Upload, list, download and delete files", "Files: what jobs read, and what they have written.",
		"  ringback files upload questions.jsonl\n  ringback files list --purpose batch_output\n  ringback files download "+aFile+" -o answers.jsonl",
		newFilesListCommand(), newFilesGetCommand(), newFilesUploadCommand(), newFilesDownloadCommand(), newFilesDeleteCommand())
}

// purposes are those that clients upload for, and those of what jobs write.
var purposes = []string{"batch", "fine-tune", "user_data", "batch_output", "fine-tune-results", "generation_output"}

func newFilesListCommand() *cobra.Command {
	l := &listing{path: "/v1/files"}
	var purpose string
	cmd := clientCommand(&cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List files, the newest first",
		Example: "  ringback files list --purpose batch_output\n  ringback files list --limit 0 --json | jq '.bytes' | paste -sd+ | bc",
		Args:    cobra.NoArgs,
	}, func(ctx context.Context, s *session) error {
		l.filter("purpose", purpose)
		return s.list(ctx, *l, fileColumns(s.print), "no such files")
	})
	l.addFlags(cmd, "a file")
	cmd.Flags().StringVar(&purpose, "purpose", "", "only files of this `PURPOSE`, as batch or batch_output")
	completeFlag(cmd, "purpose", fixed(purposes...))
	completeFlag(cmd, "after", fileIDs)
	return cmd
}

func fileColumns(p *printer) []column {
	return []column{
		field("ID", "id"), field("PURPOSE", "purpose"),
		{title: "BYTES", cell: func(f gjson.Result) string { return grouped(int(f.Get("bytes").Int())) }},
		p.age("AGE", "created_at"), field("NAME", "filename"),
	}
}

func newFilesGetCommand() *cobra.Command {
	return clientCommand(&cobra.Command{
		Use:               "get ID",
		Short:             "Show what is known of a file",
		Example:           "  ringback files get " + aFile + "\n  ringback files get " + aFile + " --json | jq .bytes",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: oneOf(fileIDs),
	}, func(ctx context.Context, s *session) error {
		if err := wantKind("file", s.args); err != nil {
			return err
		}
		kind, _ := kindOf(s.args[0])
		return s.show(ctx, kind, s.args[0])
	})
}

func newFilesUploadCommand() *cobra.Command {
	var purpose, keep string
	cmd := clientCommand(&cobra.Command{
		Use:     "upload FILE",
		Short:   "Upload a file, with a bar on a terminal",
		Example: "  ringback files upload questions.jsonl\n  ringback files upload examples.jsonl --purpose fine-tune --expires-after 30d --json | jq -r .id",
		Args:    cobra.ExactArgs(1),
	}, func(ctx context.Context, s *session) error {
		upload, err := openUpload(s.args[0])
		if err == nil && upload.ID != "" {
			err = usagef("there is no file %s here", upload.ID)
		}
		if err != nil {
			return err
		}
		fields, err := expiry(keep)
		if err != nil {
			return err
		}
		file, err := s.upload(ctx, upload, purpose, fields...)
		if err != nil {
			return err
		}
		return s.print.object(file.text, func(o gjson.Result) error { return s.print.fields(o) })
	})
	cmd.Flags().StringVar(&purpose, "purpose", "batch", "`PURPOSE` of the file: batch, fine-tune or user_data")
	cmd.Flags().StringVar(&keep, "expires-after", "", "delete it after this `TIME`, as 30d (default: the server's setting)")
	completeFlag(cmd, "purpose", fixed(purposes[:3]...))
	return cmd
}

// expiry are the form's fields that bound a file's life.
func expiry(keep string) ([][2]string, error) {
	if keep == "" {
		return nil, nil
	}
	d, err := readSpan(keep)
	if err != nil || d < time.Second {
		return nil, usagef("--expires-after %q is no time, as in 12h or 30d", keep)
	}
	return [][2]string{
		{"expires_after[anchor]", "created_at"},
		{"expires_after[seconds]", strconv.FormatInt(int64(d/time.Second), 10)},
	}, nil
}

func newFilesDownloadCommand() *cobra.Command {
	var file string
	cmd := clientCommand(&cobra.Command{
		Use:   "download ID",
		Short: "Print a file's bytes, or write them to a file",
		Example: "  ringback files download " + aFile + " -o answers.jsonl\n" +
			"  ringback files download " + aFile + " | jq -r .custom_id",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: oneOf(fileIDs),
	}, func(ctx context.Context, s *session) error {
		if err := wantKind("file", s.args); err != nil {
			return err
		}
		if s.print.json && (file == "" || file == "-") {
			return usagef("--json tells of the file that was written: name it with -o")
		}
		err := writeTo(file, s.print.out, func(out io.Writer) error { return copyContent(ctx, s.client, s.args[0], out) })
		if err != nil || !s.print.json {
			return err
		}
		object, err := s.client.Object(ctx, "/v1/files/"+s.args[0])
		if err != nil {
			return fmt.Errorf("written, but: %w", err)
		}
		return printLine(s.print.out, object)
	})
	cmd.Flags().StringVarP(&file, "output", "o", "", "write to `FILE` instead of standard output")
	return cmd
}

func newFilesDeleteCommand() *cobra.Command {
	return clientCommand(&cobra.Command{
		Use:   "delete ID...",
		Short: "Delete files",
		Example: "  ringback files delete " + aFile +
			"\n  ringback files delete $(ringback files list --purpose batch --limit 0 --json | jq -r .id)",
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: completeArgs(fileIDs),
	}, func(ctx context.Context, s *session) error {
		kind, _ := kindOf(aFile)
		return s.deleteEach(ctx, kind)
	})
}
