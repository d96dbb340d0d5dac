package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// hold gives the files of a data_dir second names, so that nothing that goes on there removes their bytes. It is a folder
// in data_dir, for names of one file must be on one disk.
type hold struct {
	lock  *os.File
	files string // data_dir/files
	held  string
}

// newHold is refused while another backup holds files there. What a killed one has left is removed.
func newHold(dir string) (_ *hold, err error) {
	h := &hold{files: filepath.Join(dir, FilesDir), held: filepath.Join(dir, "backup")}
	if h.lock, err = os.OpenFile(filepath.Join(dir, "backup.lock"), os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return nil, fmt.Errorf("store: cannot make a backup of data_dir %s: %w", dir, err)
	}
	if err := likeDir(dir, h.lock); err != nil {
		return nil, errors.Join(err, h.lock.Close())
	}
	if err := unix.Flock(int(h.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("store: another backup of data_dir %s is being made; wait for its end", dir), h.lock.Close())
	}
	if err := errors.Join(os.RemoveAll(h.held), os.Mkdir(h.held, 0o700)); err != nil {
		return nil, errors.Join(fmt.Errorf("store: cannot hold files: %w", err), h.lock.Close())
	}
	return h, nil
}

// likeDir gives a file to whom its folder belongs, so that a backup made as root keeps no later one from its work.
func likeDir(dir string, f *os.File) error {
	about, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("store: cannot look at data_dir: %w", err)
	}
	if owner, ok := about.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
		return f.Chown(int(owner.Uid), int(owner.Gid))
	}
	return nil
}

// release removes the second names.
func (h *hold) release() {
	_ = os.RemoveAll(h.held) // else the next backup does
	_ = unlock(h.lock)
}

func (h *hold) path(key string) string { return filepath.Join(h.held, filepath.FromSlash(key)) }

// all holds what stands there now; what is removed meanwhile is left out.
func (h *hold) all(ctx context.Context) error {
	err := fs.WalkDir(os.DirFS(h.files), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return ignoreMissing(err)
		case name == spoolDir:
			return fs.SkipDir
		case d.IsDir():
			return ctx.Err()
		}
		return ignoreMissing(h.one(ctx, name))
	})
	return ignoreMissing(err)
}

// one holds a file, if it does not already; fs.ErrNotExist says that it has gone.
func (h *hold) one(ctx context.Context, key string) error {
	from, to := filepath.Join(h.files, filepath.FromSlash(key)), h.path(key)
	err := os.Link(from, to)
	if errors.Is(err, fs.ErrNotExist) { // the file, or the folder that it is to stand in
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return err
		}
		err = os.Link(from, to)
	}
	switch {
	case err == nil, errors.Is(err, fs.ErrExist):
		return nil
	case errors.Is(err, fs.ErrNotExist):
		if _, held := os.Lstat(to); held == nil {
			return nil
		}
		return fs.ErrNotExist
	case linkless(err):
		return copyFile(ctx, from, to)
	}
	return fmt.Errorf("store: cannot hold a file: %w", err)
}

// linkless says that a file system gives no second names, or not to this one.
func linkless(err error) bool {
	for _, cause := range []error{unix.EXDEV, unix.EPERM, unix.EOPNOTSUPP, unix.ENOSYS, unix.EMLINK} {
		if errors.Is(err, cause) {
			return true
		}
	}
	return false
}

func copyFile(ctx context.Context, from, to string) error {
	r, err := os.Open(from)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := os.OpenFile(to+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, whileAlive{ctx, r})
	if err = errors.Join(err, w.Close()); err != nil {
		return err
	}
	return os.Rename(to+".new", to)
}
