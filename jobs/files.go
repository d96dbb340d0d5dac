package jobs

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"path"
	"slices"
	"strings"
	"time"
)

// Spooled are uploaded bytes that stand in the file store and belong to no file yet.
type Spooled struct {
	Blob  string
	Bytes int64
	Hash  []byte // SHA-256
	first []byte
}

// NewFile says what becomes of spooled bytes.
type NewFile struct {
	ProjectID   string
	Filename    string
	Purpose     string
	TTL         time.Duration // zero: the purpose's default
	Idempotency *Idempotency
}

// The purposes that clients may upload for.
var purposes = []string{"assistants", PurposeBatch, "fine-tune", "vision", "user_data", "evals"}

// Spool streams an upload into the file store; no more than a buffer is in memory. A longer one than FileBytes is
// CodeTooLarge, and nothing of it stays.
func (s *Service) Spool(ctx context.Context, r io.Reader) (*Spooled, error) {
	sp := &Spooled{Blob: "in/" + NewID("")}
	sum := sha256.New()
	lim := &capped{r: r, left: s.Limits.FileBytes}
	n, err := s.Blobs.Put(ctx, sp.Blob, io.TeeReader(io.TeeReader(lim, sum), (*firstBytes)(&sp.first)))
	if errors.Is(err, errCapped) {
		return nil, Errorf(CodeTooLarge, "file", "The file is larger than %d bytes, the most that is accepted (limits.file_bytes).", s.Limits.FileBytes)
	}
	if err != nil {
		return nil, err
	}
	sp.Bytes, sp.Hash = n, sum.Sum(nil)
	return sp, nil
}

// Discard removes spooled bytes that became no file.
func (s *Service) Discard(ctx context.Context, sp *Spooled) error {
	return s.Blobs.Remove(context.WithoutCancel(ctx), sp.Blob)
}

// KeepFile makes spooled bytes a file. On an error the bytes are gone, unless it leaves open whether the file stands.
func (s *Service) KeepFile(ctx context.Context, sp *Spooled, n NewFile) (File, error) {
	f, err := s.newFile(sp, n)
	if err == nil {
		err = s.Records.CreateFile(ctx, f, n.Idempotency)
	}
	if err != nil {
		return File{}, undo(ctx, s.Blobs, err, sp.Blob)
	}
	return f, nil
}

func (s *Service) newFile(sp *Spooled, n NewFile) (File, error) {
	if err := checkFile(sp, n, s.Limits); err != nil {
		return File{}, err
	}
	now := s.now()
	f := File{
		ProjectID: n.ProjectID, ID: NewID("file-"), Filename: n.Filename, Purpose: n.Purpose,
		Bytes: sp.Bytes, Blob: sp.Blob, CreatedAt: now,
	}
	ttl := n.TTL
	if ttl == 0 && n.Purpose == PurposeBatch {
		ttl = BatchFileTTL
	}
	if ttl > 0 {
		f.ExpiresAt = now.Add(ttl)
	}
	return f, nil
}

// checkFile holds OpenAI's rules for uploads: a batch file is .jsonl and its first line is a JSON object; later
// lines are judged when a batch uses it.
func checkFile(sp *Spooled, n NewFile, limits Limits) error {
	if n.Purpose == "" {
		return Errorf(CodeMissing, "purpose", "Missing required parameter: 'purpose'. Supported values are: %s.", quoted(purposes))
	}
	if !slices.Contains(purposes, n.Purpose) {
		return Errorf(CodeValue, "purpose", "Invalid value for 'purpose'. Supported values are: %s.", quoted(purposes))
	}
	if n.Purpose != PurposeBatch {
		return nil
	}
	if !strings.EqualFold(path.Ext(n.Filename), ".jsonl") {
		return Errorf(CodeInvalid, "file", "Invalid file format for Batch API. Must be .jsonl")
	}
	if sp.Bytes > limits.BatchBytes {
		return Errorf(CodeTooLarge, "file", "The batch file has %d bytes; at most %d are accepted (limits.batch_bytes).", sp.Bytes, limits.BatchBytes)
	}
	if !looksLikeJSONLines(sp.first) {
		return Errorf(CodeInvalid, "file", "Invalid file format for Batch API. The first line is not a JSON object; the file must be UTF-8 .jsonl with one request a line.")
	}
	return nil
}

// FileContent opens a file's bytes.
func (s *Service) FileContent(ctx context.Context, ref Ref) (File, io.ReadCloser, error) {
	f, err := s.Records.File(ctx, ref)
	if err != nil {
		return f, nil, err
	}
	r, err := s.Blobs.Open(ctx, f.Blob, 0)
	return f, r, err
}

// DeleteFile hides a file at once. Its bytes stay until no unfinished job reads them.
func (s *Service) DeleteFile(ctx context.Context, ref Ref) error {
	blob, err := s.Records.DeleteFile(ctx, ref, s.now())
	if err != nil || blob == "" {
		return err
	}
	return s.Blobs.Remove(ctx, blob)
}

// errCapped ends the reading of an upload that is longer than allowed.
var errCapped = errors.New("jobs: more bytes than allowed")

// capped is a reader that fails, instead of ending, after left bytes.
type capped struct {
	r    io.Reader
	left int64
}

func (c *capped) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if c.left -= int64(n); c.left < 0 {
		return 0, errCapped
	}
	return n, err
}

// firstBytes keeps what a look at the first line needs.
type firstBytes []byte

const peek = 4096

func (f *firstBytes) Write(p []byte) (int, error) {
	if room := peek - len(*f); room > 0 {
		*f = append(*f, p[:min(room, len(p))]...)
	}
	return len(p), nil
}

func quoted(list []string) string { return "'" + strings.Join(list, "', '") + "'" }
