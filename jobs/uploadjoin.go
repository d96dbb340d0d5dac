package jobs

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"time"
)

// assemble writes the parts in the client's order into one new blob and makes the file of it, which no row names yet. On
// an error nothing of it stays.
func (s *Service) assemble(ctx context.Context, u *Upload, ids []string, sum []byte) (*File, error) {
	all, err := s.Records.UploadParts(ctx, u.Ref())
	if err != nil {
		return nil, err
	}
	parts, err := u.pick(all, ids)
	if err != nil {
		return nil, err
	}
	sp, err := s.join(ctx, parts, sum)
	if err != nil {
		return nil, err
	}
	f, err := s.newFile(sp, NewFile{
		ProjectID: u.ProjectID, Filename: u.Filename, Purpose: u.Purpose, TTL: time.Duration(u.FileTTL) * time.Second,
	})
	if err == nil && sp.Bytes != u.Bytes {
		err = fmt.Errorf("jobs: the parts of %s have %d bytes in the file store, and %d in their rows", u.ID, sp.Bytes, u.Bytes)
	}
	if err != nil {
		return nil, undo(ctx, s.Blobs, err, sp.Blob)
	}
	return &f, nil
}

// join streams parts into one blob; no more than a buffer is in memory. sum is the MD5 that the whole must have, if any.
func (s *Service) join(ctx context.Context, parts []UploadPart, sum []byte) (_ *Spooled, err error) {
	sp := &Spooled{Blob: "in/" + NewID("")}
	source := &joined{ctx: ctx, blobs: s.Blobs, parts: parts}
	defer source.close()
	whole := io.TeeReader(source, (*firstBytes)(&sp.first))
	digest := md5.New()
	if sum != nil {
		whole = io.TeeReader(whole, digest)
	}
	sp.Bytes, err = s.Blobs.Put(ctx, sp.Blob, whole)
	if source.err != nil {
		return nil, source.err
	}
	if err != nil {
		return nil, err
	}
	if got := digest.Sum(nil); sum != nil && !bytes.Equal(got, sum) {
		err := Errorf(CodeValue, "md5", "The parts in this order have the MD5 %x, not %x as 'md5' says. Check the order of 'part_ids', and send what arrived damaged again.", got, sum)
		return nil, undo(ctx, s.Blobs, err, sp.Blob)
	}
	return sp, nil
}

// joined reads parts one after another. Each is opened when its turn comes: one at a time is open.
type joined struct {
	ctx   context.Context
	blobs Blobs
	parts []UploadPart // that are not read to their end
	open  io.ReadCloser
	err   error // why reading failed: then it is not the writing that did
}

func (j *joined) Read(p []byte) (int, error) {
	for len(j.parts) > 0 {
		n, err := j.readPart(p)
		if n > 0 || err != nil {
			return n, err
		}
	}
	return 0, io.EOF
}

// readPart reads from the part whose turn it is, and goes on to the next at its end.
func (j *joined) readPart(p []byte) (n int, err error) {
	if j.open == nil {
		opened, err := j.blobs.Open(j.ctx, j.parts[0].Blob, 0)
		if err != nil {
			return 0, j.fail(err)
		}
		j.open = opened
	}
	n, err = j.open.Read(p)
	if errors.Is(err, io.EOF) {
		j.close()
		j.parts = j.parts[1:]
		return n, nil
	}
	if err != nil {
		return n, j.fail(err)
	}
	return n, nil
}

func (j *joined) fail(err error) error {
	j.err = fmt.Errorf("jobs: cannot read the bytes of %s: %w", j.parts[0].ID, err)
	return j.err
}

func (j *joined) close() {
	if j.open != nil {
		_ = j.open.Close() // it was only read
		j.open = nil
	}
}
