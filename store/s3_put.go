package store

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/minio/minio-go/v7"
)

const (
	// partSize is also the most that a Put holds in memory of a body of any length (half as much again while the buffer
	// grows to it). S3 allows parts from 5 MiB on, all of one size on some servers.
	partSize = 16 << 20
	// mostParts is S3's limit; with partSize it bounds an object at 156 GiB.
	mostParts = 10_000
	// undoPatience bounds the clean-up after a Put that failed. What stays then goes with the janitor.
	undoPatience = 5 * time.Second
)

const notKept = "The file cannot be kept now. Nothing was changed; send it again later."

// Put stores all of r under key: as one object when it is shorter than a part, else in parts. The server checks each
// against its MD5 and SHA-256. On any error nothing of it stays; what could not be removed has no row and goes with the
// janitor.
func (s *S3) Put(ctx context.Context, key string, r io.Reader) (int64, error) {
	name, err := s.name(key)
	if err != nil {
		return 0, err
	}
	r = whileAlive{ctx, r}
	var p partBuffer
	ended, err := p.fill(r)
	switch {
	case err != nil:
		return 0, err
	case ended:
		return s.putWhole(ctx, name, &p)
	}
	return s.putParts(ctx, name, &p, r)
}

func (s *S3) putWhole(ctx context.Context, name string, p *partBuffer) (int64, error) {
	md5Sum, sha := p.sums()
	_, err := s.core.PutObject(ctx, s.bucket, name, bytes.NewReader(p.bytes), p.len(), md5Text(md5Sum), sha,
		minio.PutObjectOptions{DisableContentSha256: true}) // no chunked signatures: not every server knows them
	if err != nil {
		err = s.settle(ctx, name, hex.EncodeToString(md5Sum), err)
	}
	return p.kept(err)
}

// settle says what became of an object whose last request failed: the answer alone may have been lost. An object that is
// the one we sent is kept. Else what may still have come in is removed, unless the server has refused it: no key is written
// twice, so nothing else can stand there.
func (s *S3) settle(ctx context.Context, name, etag string, err error) error {
	if ctx.Err() == nil {
		found, statErr := s.core.StatObject(ctx, s.bucket, name, minio.StatObjectOptions{})
		if statErr == nil && found.ETag == etag {
			return nil
		}
	}
	if refused(err) && !noSuchUpload(err) { // such an upload may be complete
		return failed(ctx, notKept, err)
	}
	return errors.Join(failed(ctx, notKept, err), s.undo(ctx, func(ctx context.Context) error { return s.remove(ctx, name) }))
}

func (s *S3) undo(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoPatience)
	defer cancel()
	return do(ctx)
}

func (s *S3) abort(ctx context.Context, name, id string) error {
	err := s.core.AbortMultipartUpload(ctx, s.bucket, name, id)
	if noSuchUpload(err) {
		return nil
	}
	return failed(ctx, "The upload cannot be ended now.", err)
}

// putParts sends the first part, which is full, and what follows.
func (s *S3) putParts(ctx context.Context, name string, p *partBuffer, r io.Reader) (int64, error) {
	id, err := s.core.NewMultipartUpload(ctx, s.bucket, name, minio.PutObjectOptions{})
	if err != nil {
		return 0, failed(ctx, notKept, err)
	}
	u := upload{s: s, name: name, id: id}
	if err = u.sendAll(ctx, p, r); err == nil {
		_, err = s.core.CompleteMultipartUpload(ctx, s.bucket, name, id, u.parts, minio.PutObjectOptions{})
		if err == nil {
			return u.n, nil
		}
		if err = s.settle(ctx, name, u.etag(), err); err == nil {
			return u.n, nil
		}
	}
	return 0, errors.Join(err, s.undo(ctx, func(ctx context.Context) error { return s.abort(ctx, name, id) }))
}

// upload is one object that is sent in parts, one after the other.
type upload struct {
	s        *S3
	name, id string
	parts    []minio.CompletePart
	md5s     []byte // of the parts, one behind the other
	n        int64
}

func (u *upload) sendAll(ctx context.Context, p *partBuffer, r io.Reader) error {
	for ended := false; p.len() > 0; {
		if err := u.send(ctx, p); err != nil {
			return err
		}
		if ended {
			return nil
		}
		var err error
		if ended, err = p.fill(r); err != nil {
			return err
		}
	}
	return nil
}

func (u *upload) send(ctx context.Context, p *partBuffer) error {
	number := len(u.parts) + 1
	if number > mostParts {
		return fmt.Errorf("store: a file in S3 has at most %d parts of %d bytes; split it", mostParts, partSize)
	}
	md5Sum, sha := p.sums()
	sent, err := u.s.core.PutObjectPart(ctx, u.s.bucket, u.name, u.id, number, bytes.NewReader(p.bytes), p.len(),
		minio.PutObjectPartOptions{Md5Base64: md5Text(md5Sum), Sha256Hex: sha, DisableContentSha256: true})
	if err != nil {
		return failed(ctx, notKept, err)
	}
	u.parts = append(u.parts, minio.CompletePart{PartNumber: number, ETag: sent.ETag})
	u.md5s = append(u.md5s, md5Sum...)
	u.n += p.len()
	return nil
}

// etag is what S3 calls an object of these parts: the MD5 of their MD5s, and how many they are.
func (u *upload) etag() string {
	sum := md5.Sum(u.md5s)
	return fmt.Sprintf("%x-%d", sum, len(u.parts))
}

// partBuffer is a buffer of up to partSize bytes, used again for each part of a body.
type partBuffer struct{ bytes []byte }

// fill reads the next part. Ended says that the body has ended with it; only io.EOF is an end, and whatever else breaks a
// body off is an error.
func (p *partBuffer) fill(r io.Reader) (ended bool, err error) {
	p.bytes = p.bytes[:0]
	for len(p.bytes) < partSize {
		if len(p.bytes) == cap(p.bytes) {
			p.grow()
		}
		n, err := r.Read(p.bytes[len(p.bytes):cap(p.bytes)])
		p.bytes = p.bytes[:len(p.bytes)+n]
		if err == io.EOF { //nolint:errorlint // a body that broke off may wrap it
			return true, nil
		}
		if err != nil {
			return false, err
		}
	}
	return false, nil
}

// grow doubles the buffer, so that a short body costs little.
func (p *partBuffer) grow() {
	size := min(max(2*cap(p.bytes), 64<<10), partSize)
	bigger := make([]byte, len(p.bytes), size)
	copy(bigger, p.bytes)
	p.bytes = bigger
}

func (p *partBuffer) len() int64 { return int64(len(p.bytes)) }

// kept is the answer of a Put of this part alone.
func (p *partBuffer) kept(err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return p.len(), nil
}

// sums are the two that the server compares with what has come in: one is S3's own, the other is part of the signature.
func (p *partBuffer) sums() (md5Sum []byte, sha256Hex string) {
	m, s := md5.Sum(p.bytes), sha256.Sum256(p.bytes)
	return slices.Clone(m[:]), hex.EncodeToString(s[:])
}

func md5Text(sum []byte) string { return base64.StdEncoding.EncodeToString(sum) }
