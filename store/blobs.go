package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/ringback/ringback/jobs"
)

// Files is where the bytes are: a Folder, or S3.
type Files interface {
	jobs.Blobs
	// Older lists the keys that were written before a time.
	Older(ctx context.Context, than time.Time) ([]string, error)
	// DropUnfinished removes what a crash has left of a Put that began before a time; it stands under no key.
	DropUnfinished(ctx context.Context, than time.Time) (n int, err error)
	// Ping tells whether bytes can be kept now.
	Ping(ctx context.Context) error
	Close() error
}

// Folder is the file store of one machine: a folder that no key can leave (os.Root). What stands under a key is whole:
// it is written beside, fsynced, and renamed.
type Folder struct{ root *os.Root }

// spoolDir holds what is being written. What a crash leaves there belongs to nobody and goes at the next start.
const spoolDir = "tmp"

// OpenFolder makes the folder if need be, and empties its spool.
func OpenFolder(dir string) (*Folder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("store: cannot make the folder for files: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("store: cannot open the folder for files: %w", err)
	}
	if err := errors.Join(root.RemoveAll(spoolDir), root.Mkdir(spoolDir, 0o700)); err != nil {
		return nil, errors.Join(fmt.Errorf("store: cannot empty the spool of the folder for files: %w", err), root.Close())
	}
	return &Folder{root}, nil
}

// Close lets go of the folder.
func (f *Folder) Close() error { return f.root.Close() }

// Put stores all of r under key. On any error nothing of it stays.
func (f *Folder) Put(ctx context.Context, key string, r io.Reader) (int64, error) {
	spool := path.Join(spoolDir, jobs.NewID(""))
	n, err := f.spool(ctx, spool, r)
	if err == nil {
		err = f.place(spool, key)
	}
	if err != nil {
		return 0, errors.Join(disk(err), ignoreMissing(f.root.Remove(spool)))
	}
	return n, nil
}

func (f *Folder) spool(ctx context.Context, name string, r io.Reader) (int64, error) {
	w, err := f.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{w}, whileAlive{ctx, r}, make([]byte, 256<<10))
	if err == nil {
		err = w.Sync()
	}
	return n, errors.Join(err, w.Close())
}

// place renames what was spooled to its key, and makes the name durable.
func (f *Folder) place(spool, key string) error {
	dir := path.Dir(key)
	if err := f.root.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := f.root.Rename(spool, key); err != nil {
		return err
	}
	for ; dir != "."; dir = path.Dir(dir) { // a new folder is a name in its parent
		if err := f.syncDir(dir); err != nil {
			return err
		}
	}
	return f.syncDir(".")
}

func (f *Folder) syncDir(dir string) error {
	d, err := f.root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Open reads from offset to the end.
func (f *Folder) Open(_ context.Context, key string, offset int64) (io.ReadCloser, error) {
	r, err := f.root.Open(key)
	if err != nil {
		return nil, fmt.Errorf("store: cannot open the bytes of a file: %w", err)
	}
	if _, err := r.Seek(offset, io.SeekStart); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// Remove deletes what stands under key; nothing there is no error.
func (f *Folder) Remove(_ context.Context, key string) error {
	return ignoreMissing(f.root.Remove(key))
}

// Older lists the keys that were written before a time.
func (f *Folder) Older(ctx context.Context, than time.Time) ([]string, error) {
	var keys []string
	err := fs.WalkDir(f.root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return errors.Join(ignoreMissing(err), ctx.Err())
		}
		info, err := d.Info()
		if err == nil && info.ModTime().Before(than) && path.Dir(name) != spoolDir {
			keys = append(keys, name)
		}
		return ignoreMissing(err)
	})
	return keys, err
}

// DropUnfinished removes what stands in the spool since before a time.
func (f *Folder) DropUnfinished(ctx context.Context, than time.Time) (n int, err error) {
	spooled, err := fs.ReadDir(f.root.FS(), spoolDir)
	for _, entry := range spooled {
		info, statErr := entry.Info()
		if statErr != nil || !info.ModTime().Before(than) {
			err = errors.Join(err, ignoreMissing(statErr))
			continue
		}
		err = errors.Join(err, ctx.Err(), ignoreMissing(f.root.Remove(path.Join(spoolDir, entry.Name()))))
		n++
	}
	return n, err
}

// Ping writes a small file into the spool and removes it.
func (f *Folder) Ping(ctx context.Context) error {
	name := path.Join(spoolDir, jobs.NewID("ping-"))
	_, err := f.spool(ctx, name, strings.NewReader("ping"))
	if err = errors.Join(err, ignoreMissing(f.root.Remove(name))); err != nil {
		return fmt.Errorf("store: the folder for files cannot be written to; look at its disk and its permissions: %w", err)
	}
	return nil
}

// whileAlive ends a copy when its context ends.
type whileAlive struct {
	ctx context.Context
	r   io.Reader
}

func (w whileAlive) Read(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.r.Read(p)
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// disk names the errors of a folder that cannot be written now.
func disk(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return &jobs.Error{Code: jobs.CodeUnavailable, Message: "The file cannot be kept now. Nothing was changed; send it again later.", Err: err}
	}
	return err
}
