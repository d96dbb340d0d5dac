package jobs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// UploadRecords is what the Service asks of the store about uploads.
type UploadRecords interface {
	// CreateUpload keeps an upload. A used Idempotency-Key answers *Replay; so it does in MoveUpload.
	CreateUpload(ctx context.Context, u Upload, idem *Idempotency) error
	// Upload reads an upload as it stands now: expired from its time on.
	Upload(ctx context.Context, ref Ref) (UploadSnapshot, error)
	// UploadParts are an upload's parts, in no order; once it has ended they go.
	UploadParts(ctx context.Context, ref Ref) ([]UploadPart, error)
	// MoveUpload changes an upload by compare-and-set, as Mover does a job. The key keeps the part's object where the
	// move makes one, else the upload's.
	MoveUpload(ctx context.Context, ref Ref, idem *Idempotency, move func(*Upload) (UploadEffects, error)) (UploadSnapshot, error)
}

// NewUpload is a client's wish to send a file in parts.
type NewUpload struct {
	ProjectID   string
	Filename    string
	Purpose     string
	MimeType    string
	Bytes       int64
	TTL         time.Duration // of the file, from its creation; zero: the purpose's default
	Idempotency *Idempotency
}

// CreateUpload begins an upload. What can be judged by its declaration is judged now, its bytes when it is completed.
func (s *Service) CreateUpload(ctx context.Context, n NewUpload) (UploadSnapshot, error) {
	if err := checkUpload(n, s.Limits); err != nil {
		return UploadSnapshot{}, err
	}
	now := s.now()
	u := Upload{
		ProjectID: n.ProjectID, ID: NewID("upload_"), Status: UploadPending, Filename: n.Filename, Purpose: n.Purpose,
		MimeType: n.MimeType, Bytes: n.Bytes, FileTTL: int64(n.TTL / time.Second), CreatedAt: now,
		ExpiresAt: now.Add(UploadTTL),
	}
	return UploadSnapshot{Upload: u}, s.Records.CreateUpload(ctx, u, n.Idempotency)
}

// codeAbove is OpenAI's code of a number over its limit.
const codeAbove Code = "integer_above_max_value"

func checkUpload(n NewUpload, limits Limits) error {
	for _, p := range []struct{ name, value string }{{"filename", n.Filename}, {"purpose", n.Purpose}, {"mime_type", n.MimeType}} {
		if p.value == "" {
			return Errorf(CodeMissing, p.name, "Missing required parameter: '%s'.", p.name)
		}
	}
	if !slices.Contains(purposes, n.Purpose) {
		return Errorf(CodeValue, "purpose", "Invalid value for 'purpose'. Supported values are: %s.", quoted(purposes))
	}
	lines := n.Purpose == PurposeBatch || n.Purpose == PurposeFineTune
	if lines && !strings.EqualFold(path.Ext(n.Filename), ".jsonl") {
		return Errorf(CodeValue, "filename", "Invalid value for 'filename': a file for the purpose '%s' must be .jsonl.", n.Purpose)
	}
	most, setting := limits.UploadBytes, "limits.upload_bytes"
	if n.Purpose == PurposeBatch && limits.BatchBytes < most {
		most, setting = limits.BatchBytes, "limits.batch_bytes"
	}
	switch {
	case n.Bytes < 1:
		return Errorf(CodeValue, "bytes", "Invalid 'bytes': the file must have at least 1 byte.")
	case n.Bytes > most:
		return Errorf(codeAbove, "bytes", "Invalid 'bytes': integer above maximum value. Expected a value <= %d (%s), but got %d instead.", most, setting, n.Bytes)
	}
	return nil
}

// TakesParts is nil while an upload is pending. It lets a caller refuse a part before its bytes have come; AddPart judges
// again.
func (s *Service) TakesParts(ctx context.Context, ref Ref) error {
	u, err := s.Records.Upload(ctx, ref)
	if err != nil {
		return err
	}
	return u.open(s.now())
}

// SpoolPart streams a part into the file store; no more than a buffer is in memory. A longer one than UploadPartBytes is
// CodeTooLarge, and nothing of it stays.
func (s *Service) SpoolPart(ctx context.Context, r io.Reader) (*Spooled, error) {
	sp := &Spooled{Blob: "parts/" + NewID("")}
	sum := sha256.New()
	n, err := s.Blobs.Put(ctx, sp.Blob, io.TeeReader(&capped{r: r, left: s.Limits.UploadPartBytes}, sum))
	if errors.Is(err, errCapped) {
		return nil, Errorf(CodeTooLarge, "data", "The part is larger than %d bytes, the most that is accepted (limits.upload_part_bytes). Send smaller parts.", s.Limits.UploadPartBytes)
	}
	if err != nil {
		return nil, err
	}
	sp.Bytes, sp.Hash = n, sum.Sum(nil)
	return sp, nil
}

// AddPart makes spooled bytes a part of a pending upload. On an error, *Replay too, the bytes are gone, unless it
// leaves open whether the part stands.
func (s *Service) AddPart(ctx context.Context, ref Ref, sp *Spooled, idem *Idempotency) (UploadPart, error) {
	p := UploadPart{ProjectID: ref.ProjectID, ID: NewID("part_"), UploadID: ref.ID, Bytes: sp.Bytes, Blob: sp.Blob, CreatedAt: s.now()}
	var err error
	if p.Bytes == 0 {
		err = Errorf(CodeInvalid, "data", "The part 'data' has 0 bytes. Send at least 1.")
	} else {
		_, err = s.Records.MoveUpload(ctx, ref, idem, func(u *Upload) (UploadEffects, error) {
			return u.add(&p, s.Limits.UploadPartBytes, s.now())
		})
	}
	if err != nil {
		return UploadPart{}, undo(ctx, s.Blobs, err, sp.Blob)
	}
	return p, nil
}

// CancelUpload ends a pending upload; its parts go.
func (s *Service) CancelUpload(ctx context.Context, ref Ref) (UploadSnapshot, error) {
	u, err := s.Records.MoveUpload(ctx, ref, nil, func(u *Upload) (UploadEffects, error) { return u.cancel(s.now()) })
	if err == nil {
		s.dropParts(ctx, ref)
	}
	return u, err
}

// UploadEnd says which of an upload's parts make the file.
type UploadEnd struct {
	Ref
	PartIDs     []string // in the file's order
	MD5         string   // hex, of the whole; empty: not compared
	Idempotency *Idempotency
}

// CompleteUpload makes the parts one file. Until that commits the upload is pending, and its parts stay. Each completion
// writes the whole, so there is one at a time of an upload in a process: others are to come back. Of two in two processes
// one makes the file; the other, if it names the same parts, is answered the same.
func (s *Service) CompleteUpload(ctx context.Context, n UploadEnd) (UploadSnapshot, error) {
	sum, err := parseMD5(n.MD5)
	if err != nil {
		return UploadSnapshot{}, err
	}
	release, entered := s.completing.enter(n.Ref)
	if !entered {
		return UploadSnapshot{}, Errorf(CodeCompleting, "", "The upload '%s' is being completed by another request. Send this one again in a moment.", n.ID)
	}
	defer release()
	before, err := s.Records.Upload(ctx, n.Ref)
	if err != nil {
		return UploadSnapshot{}, err
	}
	var f *File
	if before.Status == UploadPending {
		if f, err = s.assemble(ctx, &before.Upload, n.PartIDs, sum); err != nil && s.pending(ctx, n.Ref) {
			return UploadSnapshot{}, err
		} // if it has ended meanwhile, its parts went in the middle of this: how it ended is the answer
	}
	return s.endUpload(ctx, n, f)
}

// busy are the rows that this process is at work on; each is entered once at a time. Its zero value is empty.
type busy struct {
	mu   sync.Mutex
	refs map[Ref]struct{}
}

func (b *busy) enter(ref Ref) (release func(), entered bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, taken := b.refs[ref]; taken {
		return nil, false
	}
	if b.refs == nil {
		b.refs = map[Ref]struct{}{}
	}
	b.refs[ref] = struct{}{}
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.refs, ref)
	}, true
}

func (s *Service) pending(ctx context.Context, ref Ref) bool {
	u, err := s.Records.Upload(context.WithoutCancel(ctx), ref)
	return err != nil || u.Status == UploadPending
}

// endUpload commits what was assembled, or removes it where another was first.
func (s *Service) endUpload(ctx context.Context, n UploadEnd, f *File) (UploadSnapshot, error) {
	after, err := s.Records.MoveUpload(ctx, n.Ref, n.Idempotency, func(u *Upload) (UploadEffects, error) {
		return u.complete(n.PartIDs, f, s.now())
	})
	if f != nil && (err != nil || after.FileID != f.ID) {
		_ = undo(ctx, s.Blobs, err, f.Blob) // what stays has no row: the janitor takes it
	}
	if err == nil {
		s.dropParts(ctx, n.Ref)
	}
	return after, err
}

// dropParts frees the bytes of an ended upload's parts at once. What it misses, the janitor takes, and the rows.
func (s *Service) dropParts(ctx context.Context, ref Ref) {
	ctx = context.WithoutCancel(ctx)
	parts, err := s.Records.UploadParts(ctx, ref)
	if err != nil {
		return
	}
	for _, p := range parts {
		_ = s.Blobs.Remove(ctx, p.Blob)
	}
}

func parseMD5(text string) ([]byte, error) {
	if text == "" {
		return nil, nil
	}
	sum, err := hex.DecodeString(text)
	if err != nil || len(sum) != 16 {
		return nil, Errorf(CodeValue, "md5", "Invalid value for 'md5': expected the 32 hexadecimal digits of the file's MD5.")
	}
	return sum, nil
}
