package store

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// Errors of archives.
var (
	// ErrIncomplete is an archive whose end is missing: whatever wrote it, or carried it here, was interrupted.
	ErrIncomplete = errors.New("store: the archive is not complete: its end is missing; make it again, or copy it again")
	// ErrDamaged is an archive that is not as it was written.
	ErrDamaged = errors.New("store: the archive is damaged: what it holds does not match its checksums")
	// ErrNoArchive is a file that is something else.
	ErrNoArchive = errors.New("store: this is no archive of ringback's")
)

// archive reads what archiver has written, entry by entry, and knows at its end whether it was all of it.
type archive struct {
	tar  *tar.Reader
	all  io.Reader // the unpacked stream, to its end
	end  func()
	sums hash.Hash // over the lines that SHA256SUMS must have
	told func(Progress)
	Contents
}

// openArchive finds out how an archive is packed and reads what it says of itself.
func openArchive(from io.Reader, kind string, told func(Progress)) (*archive, error) {
	all, end, err := unpack(from)
	if err != nil {
		return nil, err
	}
	a := &archive{tar: tar.NewReader(all), all: all, end: end, sums: sha256.New(), told: told}
	if err := a.readHead(kind); err != nil {
		end()
		return nil, err
	}
	return a, nil
}

func unpack(from io.Reader) (all io.Reader, end func(), err error) {
	buffered := bufio.NewReaderSize(from, 256<<10)
	magic, err := buffered.Peek(4)
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return nil, nil, fmt.Errorf("store: cannot read the archive: %w", err)
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		zipped, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, nil, torn(err)
		}
		return zipped, func() { _ = zipped.Close() }, nil
	case bytes.HasPrefix(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		zipped, err := zstd.NewReader(buffered, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20))
		if err != nil {
			return nil, nil, torn(err)
		}
		return zipped, zipped.Close, nil
	case string(magic) != headEntry[:4]: // the name of its first entry
		return nil, nil, ErrNoArchive
	}
	return buffered, func() {}, nil
}

func (a *archive) readHead(kind string) error {
	entry, err := a.tar.Next()
	if err != nil || entry.Name != headEntry || entry.Size > 1<<20 {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return ErrIncomplete
		}
		return ErrNoArchive
	}
	text, err := a.whole(entry)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &a.Archive); err != nil {
		return ErrDamaged
	}
	switch {
	case a.Kind != kind && a.Kind == kindBackup:
		return errors.New("store: this is a backup of a whole data_dir: use `ringback restore`")
	case a.Kind != kind && a.Kind == kindProject:
		return errors.New("store: this is the export of a project: use `ringback import`")
	case a.Kind != kind:
		return ErrNoArchive
	case a.Format != archiveFormat:
		return fmt.Errorf("store: the archive has format %d, and this ringback (which knows %d) cannot read it: use version %s", a.Format, archiveFormat, a.Version)
	}
	return nil
}

// next gives the entries one after another, and io.EOF once the checksums have been read and are right. Of each entry all
// bytes must be read, by copy or whole.
func (a *archive) next() (*tar.Header, error) {
	entry, err := a.tar.Next()
	switch {
	case errors.Is(err, io.EOF):
		return nil, ErrIncomplete
	case err != nil:
		return nil, torn(err)
	case entry.Name == sumsEntry:
		return nil, a.finish()
	case entry.Typeflag != tar.TypeReg || !fs.ValidPath(entry.Name) || strings.Contains(entry.Name, "\\"):
		return nil, ErrDamaged
	}
	return entry, nil
}

// copy gives all bytes of an entry to a writer.
func (a *archive) copy(to io.Writer, entry *tar.Header) error {
	r := a.reader(entry)
	_, err := io.CopyBuffer(struct{ io.Writer }{to}, r, make([]byte, 256<<10))
	if err != nil {
		return err
	}
	return r.done()
}

func (a *archive) whole(entry *tar.Header) ([]byte, error) {
	var content bytes.Buffer
	content.Grow(int(entry.Size))
	err := a.copy(&content, entry)
	return content.Bytes(), err
}

// reader reads an entry; done is to be called at its end.
func (a *archive) reader(entry *tar.Header) *entryReader {
	return &entryReader{from: a, name: entry.Name, left: entry.Size, sum: sha256.New()}
}

type entryReader struct {
	from *archive
	name string
	left int64
	sum  hash.Hash
}

// Read also sums up what is read, and says what an end that came too early means.
func (r *entryReader) Read(p []byte) (int, error) {
	n, err := r.from.tar.Read(p)
	r.sum.Write(p[:n])
	r.left -= int64(n)
	r.from.Bytes += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		err = torn(err)
	}
	return n, err
}

// done notes an entry's checksum.
func (r *entryReader) done() error {
	if r.left != 0 {
		return ErrIncomplete
	}
	a := r.from
	_, _ = a.sums.Write([]byte(sumLine(r.sum, r.name))) // never fails
	a.told(Progress{Doing: "reading", Bytes: a.Bytes, Files: a.Files, Rows: a.Rows})
	return nil
}

// finish compares the checksums, and reads to the end of the stream: what packs it has its own.
func (a *archive) finish() error {
	written := sha256.New()
	if _, err := io.Copy(written, a.tar); err != nil {
		return torn(err)
	}
	if hex.EncodeToString(written.Sum(nil)) != hex.EncodeToString(a.sums.Sum(nil)) {
		return ErrDamaged
	}
	if _, err := a.tar.Next(); !errors.Is(err, io.EOF) {
		return torn(err)
	}
	if _, err := io.Copy(io.Discard, a.all); err != nil {
		return torn(err)
	}
	return io.EOF
}

// torn says what an error in the middle of an archive means.
func torn(err error) error {
	switch {
	case err == nil:
		return ErrDamaged
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return ErrIncomplete
	}
	return fmt.Errorf("%w (%w)", ErrDamaged, err)
}
