package store

import (
	"archive/tar"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// RestoreOptions say where a backup goes.
type RestoreOptions struct {
	Dir   string // data_dir: empty but for its key, or not there yet
	Key   []byte // secrets.key; empty: the one in Dir, or in the backup
	Force bool   // what stands in Dir is moved aside, into a folder in it
	Now   func() time.Time
	Told  func(Progress) // nil for nobody

	keyStays bool // the one in Dir is what the backup needs
}

// Restored is what a restore has done.
type Restored struct {
	Contents
	KeyIsThere bool   `json:"key_is_there"`    // else serve refuses until it has the key
	Aside      string `json:"aside,omitempty"` // where what stood there before is now
}

// unfinishedNote stands in the database's place until a restore has ended, so that no serve takes the folder for a new one.
const unfinishedNote = "A restore into this folder has not ended. Run `ringback restore` again.\n"

// positionRoom is left between the events of a backup and those that come after its restore: a client may have read events
// that the backup does not have, and asks for those after them.
const positionRoom = 1_000_000_000

// Restore writes a backup into a data_dir, and checks it: the archive's checksums, the database's integrity, and that every
// file is there that it names. Until all of that has gone well nothing can serve on the folder; a restore that was
// interrupted is begun anew by the next.
//
// What was in flight at the backup's moment goes on at the next start of serve: what was done since is done again, and
// deliveries are made again (at least once, with the same webhook-id).
func Restore(ctx context.Context, o RestoreOptions, from io.Reader) (done Restored, err error) {
	if o.Told == nil {
		o.Told = func(Progress) {}
	}
	a, err := openArchive(from, kindBackup, o.Told)
	if err != nil {
		return done, err
	}
	defer a.end()
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return done, fmt.Errorf("store: cannot make data_dir: %w", err)
	}
	lock, err := lockDir(o.Dir)
	if err != nil {
		return done, err
	}
	defer func() { _ = unlock(lock) }()
	if done.KeyIsThere, err = o.checkKey(a); err != nil {
		return done, err
	}
	if done.Aside, err = o.clear(); err != nil {
		return done, err
	}
	if err := writeWhole(filepath.Join(o.Dir, DatabaseFile), []byte(unfinishedNote)); err != nil {
		return done, err
	}
	files, err := OpenFolder(filepath.Join(o.Dir, FilesDir))
	if err != nil {
		return done, err
	}
	defer files.Close()
	r := &restore{archive: a, dir: o.Dir, keep: func(e *tar.Header, r io.Reader) error {
		_, err := files.Put(ctx, strings.TrimPrefix(e.Name, filesEntry), r)
		return err
	}}
	if err := r.run(ctx); err != nil {
		return done, err
	}
	done.Contents = a.Contents
	return done, r.serve(ctx)
}

// checkKey refuses a key that cannot be the right one before anything is written.
func (o *RestoreOptions) checkKey(a *archive) (there bool, err error) {
	key := o.Key
	stands, err := os.ReadFile(filepath.Join(o.Dir, KeyFile))
	o.keyStays = err == nil && keyID(stands) == a.KeyID
	if len(key) > 0 {
		err = nil
	} else {
		key = stands
		if errors.Is(err, fs.ErrNotExist) || err == nil && o.Force && !o.keyStays {
			return a.WithKey, nil // with Force the old one goes aside
		}
	}
	if err == nil && keyID(key) != a.KeyID {
		err = fmt.Errorf("store: this backup cannot be used with this key: %w", errKey)
	}
	return err == nil, err
}

// Stays in place when all else goes aside: locks, and what the file system keeps there.
var stays = []string{"lock", "backup.lock", "lost+found"}

// clear makes room: it refuses a folder that holds something, unless that is a restore's that has not ended.
func (o *RestoreOptions) clear() (aside string, err error) {
	entries, err := os.ReadDir(o.Dir)
	if err != nil {
		return "", err
	}
	entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool {
		return slices.Contains(stays, e.Name()) || strings.HasPrefix(e.Name(), asidePrefix) || e.Name() == KeyFile && (!o.Force || o.keyStays)
	})
	switch {
	case len(entries) == 0:
		return "", nil
	case o.unfinished():
		for _, name := range []string{DatabaseFile, DatabaseFile + ".new", spoolDir, FilesDir} {
			err = errors.Join(err, os.RemoveAll(filepath.Join(o.Dir, name)))
		}
		return "", err
	case !o.Force:
		return "", fmt.Errorf("store: data_dir %s is not empty (it holds %s): name another, or use --force to move all of it aside", o.Dir, entries[0].Name())
	}
	aside = filepath.Join(o.Dir, asidePrefix+o.Now().UTC().Format("20060102T150405.000Z"))
	if err := os.Mkdir(aside, 0o700); err != nil {
		return "", err
	}
	for _, e := range entries {
		if err := os.Rename(filepath.Join(o.Dir, e.Name()), filepath.Join(aside, e.Name())); err != nil {
			return "", fmt.Errorf("store: cannot move the old data aside: %w", err)
		}
	}
	return aside, nil
}

const asidePrefix = "before-restore-"

func (o *RestoreOptions) unfinished() bool {
	f, err := os.Open(filepath.Join(o.Dir, DatabaseFile))
	if err != nil {
		return false
	}
	defer f.Close()
	begins := make([]byte, len(unfinishedNote))
	_, err = io.ReadFull(f, begins)
	return err == nil && string(begins) == unfinishedNote
}

// CheckBackup reads a backup as Restore does, and keeps nothing. It needs room for the database in spool, "" being the
// system's folder for temporary files.
func CheckBackup(ctx context.Context, from io.Reader, spool string, told func(Progress)) (Contents, error) {
	if told == nil {
		told = func(Progress) {}
	}
	a, err := openArchive(from, kindBackup, told)
	if err != nil {
		return Contents{}, err
	}
	defer a.end()
	dir, err := os.MkdirTemp(spool, "ringback-check-")
	if err != nil {
		return Contents{}, fmt.Errorf("store: cannot make a folder for the database's copy; set TMPDIR to one with room: %w", err)
	}
	defer os.RemoveAll(dir)
	r := &restore{archive: a, dir: dir, check: true, keep: func(_ *tar.Header, r io.Reader) error {
		_, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r, make([]byte, 256<<10))
		return err
	}}
	err = r.run(ctx)
	return a.Contents, err
}

// restore reads a backup. keep takes a file's bytes.
type restore struct {
	*archive
	dir   string
	check bool // the key is not kept
	keep  func(*tar.Header, io.Reader) error
	files *expected
	key   bool
}

func (r *restore) run(ctx context.Context) error {
	defer func() { r.files.close() }()
	for {
		entry, err := r.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = r.take(ctx, entry)
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
	}
	if r.files == nil || r.key != r.WithKey {
		return ErrIncomplete
	}
	return r.files.end()
}

func (r *restore) take(ctx context.Context, entry *tar.Header) (err error) {
	switch {
	case entry.Name == KeyFile && r.files == nil:
		return r.takeKey(entry)
	case entry.Name == DatabaseFile && r.files == nil:
		return r.takeDatabase(ctx, entry)
	case strings.HasPrefix(entry.Name, filesEntry) && r.files != nil:
		return r.takeFile(entry)
	}
	return ErrDamaged
}

func (r *restore) takeKey(entry *tar.Header) error {
	if entry.Size != keyBytes {
		return ErrDamaged
	}
	key, err := r.whole(entry)
	if err != nil {
		return err
	}
	r.key = true
	if keyID(key) != r.KeyID {
		return ErrDamaged
	}
	if r.check {
		return nil
	}
	return writeWhole(filepath.Join(r.dir, KeyFile), key)
}

func (r *restore) database() string { return filepath.Join(r.dir, spoolDir, DatabaseFile) }

// takeDatabase writes the database beside its place, and brings it up to date.
func (r *restore) takeDatabase(ctx context.Context, entry *tar.Header) error {
	if err := os.MkdirAll(filepath.Dir(r.database()), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(r.database(), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	err = r.copy(f, entry)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	r.told(Progress{Doing: "checking the database", Bytes: entry.Size})
	db, err := sql.Open("sqlite3", dsn(r.database(), "_synchronous=FULL"))
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if err := integrity(ctx, db); err != nil {
		return err
	}
	if err := migrateSQLite(ctx, db, "the backup's database"); err != nil {
		return err
	}
	if r.Jobs, err = countJobs(ctx, db); err != nil {
		return err
	}
	r.files, err = expect(ctx, r.database())
	return err
}

func integrity(ctx context.Context, db *sql.DB) error {
	var says string
	if err := db.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&says); err != nil || says != "ok" {
		return fmt.Errorf("%w: its database says: %w", ErrDamaged, errors.Join(err, errors.New(says)))
	}
	return nil
}

func (r *restore) takeFile(entry *tar.Header) error {
	key := strings.TrimPrefix(entry.Name, filesEntry)
	if path.Dir(key) == spoolDir {
		return ErrDamaged
	}
	if err := r.files.came(key); err != nil {
		return err
	}
	in := r.reader(entry)
	if err := r.keep(entry, in); err != nil {
		return err
	}
	r.Files++
	return in.done()
}

// serve puts the database into its place: from here on there is something to serve on.
func (r *restore) serve(ctx context.Context) error {
	db, err := sql.Open("sqlite3", dsn(r.database(), "_synchronous=FULL"))
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	if err = passSQLitePositions(ctx, db, positionRoom); err == nil {
		_, err = db.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
	}
	if err := errors.Join(err, db.Close()); err != nil {
		return fmt.Errorf("store: cannot finish the restored database: %w", err)
	}
	if err := os.Rename(r.database(), filepath.Join(r.dir, DatabaseFile)); err != nil {
		return err
	}
	dir, err := os.Open(r.dir)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close(), os.RemoveAll(filepath.Dir(r.database())))
}

// expected walks over the files that a database names while they come, in the same order.
type expected struct {
	db   *sql.DB
	rows *sql.Rows
}

func expect(ctx context.Context, database string) (*expected, error) {
	db, err := sql.Open("sqlite3", databaseURL(database, "mode=ro&_query_only=1"))
	if err != nil {
		return nil, err
	}
	rows, err := namedRows(ctx, db, named, "") //nolint:rowserrcheck // whoever walks over them looks
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &expected{db, rows}, nil
}

// came says whether a file is the next one that is named; those that may be missing may have been left out before it.
func (e *expected) came(key string) error {
	for e.rows.Next() {
		f, err := scanNamed(e.rows)
		switch {
		case err != nil:
			return err
		case f.key == key:
			return nil
		case f.need != notNeeded:
			return fmt.Errorf("%w: the file %s is missing, which the database names", ErrDamaged, f.key)
		}
	}
	if err := e.rows.Err(); err != nil || key == "" {
		return err
	}
	return fmt.Errorf("%w: it holds a file %s that no row names", ErrDamaged, key)
}

// end says whether any that is needed did not come.
func (e *expected) end() error { return e.came("") }

// close ends the walk; nil is one that never began.
func (e *expected) close() {
	if e == nil {
		return
	}
	_ = e.rows.Close()
	_ = e.db.Close()
}
