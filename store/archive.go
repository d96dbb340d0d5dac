package store

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"time"

	"github.com/klauspost/compress/zstd"
)

// Compression is how an archive is packed. Whoever reads one finds out by himself.
type Compression string

// The compressions. None is for a stream that somebody else packs.
const (
	Uncompressed Compression = ""
	Gzip         Compression = "gzip"
	Zstd         Compression = "zstd"
)

// Archive is what a backup or an export says of itself: its first entry, ringback.json.
type Archive struct {
	Kind      string           `json:"kind"`   // backup, or project
	Format    int              `json:"format"` // of the archive
	Version   string           `json:"version"`
	CreatedAt int64            `json:"created_at"`        // Unix milliseconds
	KeyID     string           `json:"key_id"`            // hex: names the key that sealed the secrets, and tells nothing of it
	Project   string           `json:"project,omitempty"` // of an export
	From      string           `json:"from"`              // sqlite or postgres
	WithKey   bool             `json:"with_key,omitempty"`
	Tables    map[string]shape `json:"tables,omitempty"` // of an export
}

// Contents counts what an archive holds.
type Contents struct {
	Archive
	Bytes int64 `json:"bytes"` // of all entries, unpacked
	Files int64 `json:"files"`
	Rows  int64 `json:"rows,omitempty"` // of an export
	Jobs  int64 `json:"jobs"`
}

// What archives are.
const (
	kindBackup    = "backup"
	kindProject   = "project"
	archiveFormat = 1
)

// Entries of archives. Files stand under filesEntry and their key, rows under tablesEntry and their table's name.
const (
	headEntry   = "ringback.json"
	sumsEntry   = "SHA256SUMS"
	filesEntry  = "files/"
	tablesEntry = "tables/"
)

// archiver writes an archive: a tar whose last entry has the checksum of each of the others, as sha256sum writes them. One
// without that entry is not complete. Memory does not grow with what is written.
type archiver struct {
	tar    *tar.Writer
	packed io.WriteCloser
	sums   *os.File // spooled: there may be millions
	at     time.Time
	told   func(Progress)
	Contents
}

// newArchiver begins an archive with what it says of itself.
func newArchiver(to io.Writer, c Compression, head Archive, told func(Progress)) (*archiver, error) {
	packed, err := pack(to, c)
	if err != nil {
		return nil, err
	}
	sums, err := os.CreateTemp("", "ringback-sums-")
	if err != nil {
		return nil, fmt.Errorf("store: cannot spool checksums; set TMPDIR to a folder that can be written to: %w", err)
	}
	if err := os.Remove(sums.Name()); err != nil { // it lives as long as it is open
		return nil, errors.Join(err, sums.Close())
	}
	w := &archiver{
		tar: tar.NewWriter(packed), packed: packed, sums: sums, at: time.UnixMilli(head.CreatedAt), told: told,
		Contents: Contents{Archive: head},
	}
	text, err := json.MarshalIndent(head, "", "  ")
	if err == nil {
		err = w.addBytes(headEntry, text)
	}
	if err != nil {
		return nil, errors.Join(err, sums.Close())
	}
	return w, nil
}

func pack(to io.Writer, c Compression) (io.WriteCloser, error) {
	switch c {
	case Gzip:
		return gzip.NewWriterLevel(to, gzip.BestSpeed)
	case Zstd:
		return zstd.NewWriter(to, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
	}
	return unpacked{to}, nil
}

// unpacked is a stream that is not compressed, and not ours to close.
type unpacked struct{ io.Writer }

func (unpacked) Close() error { return nil }

func (w *archiver) addBytes(name string, content []byte) error {
	return w.add(name, int64(len(content)), bytes.NewReader(content))
}

// add writes an entry, which must have exactly as many bytes.
func (w *archiver) add(name string, size int64, content io.Reader) error {
	if err := w.begin(name, size); err != nil {
		return err
	}
	sum := sha256.New()
	n, err := io.CopyBuffer(io.MultiWriter(w.tar, sum), struct{ io.Reader }{content}, make([]byte, 256<<10))
	if errors.Is(err, tar.ErrWriteTooLong) || err == nil && n != size {
		return fmt.Errorf("store: %s does not have the %d bytes that it should have; the archive is not complete", name, size)
	}
	if err != nil {
		return fmt.Errorf("store: cannot write %s into the archive: %w", name, err)
	}
	w.Bytes += size
	w.told(Progress{Doing: "writing", Bytes: w.Bytes, Files: w.Files, Rows: w.Rows})
	_, err = w.sums.WriteString(sumLine(sum, name))
	return err
}

func (w *archiver) begin(name string, size int64) error {
	err := w.tar.WriteHeader(&tar.Header{Name: name, Size: size, Mode: 0o600, ModTime: w.at, Typeflag: tar.TypeReg})
	if err != nil {
		return fmt.Errorf("store: cannot write the archive: %w", err)
	}
	return nil
}

func sumLine(sum hash.Hash, name string) string {
	return hex.EncodeToString(sum.Sum(nil)) + "  " + name + "\n"
}

// finish writes the checksums: now it is complete.
func (w *archiver) finish() (Contents, error) {
	size, err := w.sums.Seek(0, io.SeekEnd)
	if err != nil {
		return Contents{}, err
	}
	if _, err := w.sums.Seek(0, io.SeekStart); err != nil {
		return Contents{}, err
	}
	if err := w.begin(sumsEntry, size); err != nil {
		return Contents{}, err
	}
	_, err = io.Copy(w.tar, w.sums)
	if err := errors.Join(err, w.tar.Close(), w.packed.Close()); err != nil {
		return Contents{}, fmt.Errorf("store: cannot write the archive: %w", err)
	}
	return w.Contents, nil
}

// discard lets go of what an archive that is not finished holds.
func (w *archiver) discard() { _ = w.sums.Close() }

// Progress is what a long work has done by now; what does not apply is zero.
type Progress struct {
	Doing string // "copying the database", …
	Bytes int64
	Of    int64 // bytes in all, where that is known
	Files int64
	Rows  int64
}
