package store

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"time"
)

// BackupOptions say what is copied.
type BackupOptions struct {
	Dir         string // data_dir; whoever serves on it goes on doing so
	Spool       string // a folder with room for a copy of the database; "" is the system's for temporary files
	WithKey     bool   // master.key too: who has the backup can then read every secret in it
	Compression Compression
	Version     string // of this program
	Now         func() time.Time
	Told        func(Progress) // called often, from the caller's goroutine; nil for nobody
}

// backup is one in the making.
type backup struct {
	BackupOptions
	hold *hold
}

// Backup writes a consistent copy of a data_dir that another process may be serving on. It takes no lock but its own
// (one backup at a time) and never writes to the database.
//
// The database is copied page by page, with pauses, inside one read transaction: that transaction sees one moment and holds
// up no writer, so the copy is never begun again; the log beside the database grows meanwhile by what is written.
//
// A file's bytes stand before its row is committed, and go after its row is hidden. So the bytes that the copied rows name
// stood at the copy's moment, but some may go before they are read. Therefore all files are first held: each gets a second
// name in data_dir/backup (a hard link; where there are none, a copy), which removing the first does not touch. Then the
// read transaction begins, and what its rows name and is not held yet (written since) is held at once. Only a file that was
// written and removed between the two can be missing: then a new transaction is begun, which no longer names it. What the
// rows name is copied under the second names, in peace, and these are removed. Names that a killed backup has left
// are removed by the next.
func Backup(ctx context.Context, o BackupOptions, to io.Writer) (Contents, error) {
	if o.Told == nil {
		o.Told = func(Progress) {}
	}
	b := &backup{BackupOptions: o}
	var err error
	if b.hold, err = newHold(o.Dir); err != nil {
		return Contents{}, err
	}
	defer b.hold.release()
	spool, err := os.MkdirTemp(o.Spool, ".ringback-backup-")
	if err != nil {
		return Contents{}, fmt.Errorf("store: cannot make a folder for the database's copy: %w", err)
	}
	defer os.RemoveAll(spool)
	copied := filepath.Join(spool, DatabaseFile)
	if err := b.copyDatabase(ctx, copied); err != nil {
		return Contents{}, err
	}
	db, err := sql.Open("sqlite3", databaseURL(copied, "mode=ro&immutable=1"))
	if err != nil {
		return Contents{}, err
	}
	defer db.Close()
	return b.write(ctx, to, db, copied)
}

// databaseURL names a database file to SQLite's driver.
func databaseURL(path, settings string) string {
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + settings
}

// openForeign opens the database of a data_dir that another process may be serving on, to read alone.
func openForeign(dir string) (*sql.DB, error) {
	file := filepath.Join(dir, DatabaseFile)
	if _, err := os.Stat(file); err != nil { // no open: closing it would take this process's locks away
		return nil, fmt.Errorf("store: there is no database in data_dir %s; set data_dir to the folder that `ringback serve` uses: %w", dir, err)
	}
	db, err := sql.Open("sqlite3", databaseURL(file, "mode=ro&_query_only=1&_busy_timeout=10000"))
	if err == nil {
		db.SetMaxOpenConns(1)
	}
	return db, err
}

func (b *backup) write(ctx context.Context, to io.Writer, db *sql.DB, copied string) (Contents, error) {
	head := Archive{Kind: kindBackup, Format: archiveFormat, Version: b.Version, CreatedAt: b.Now().UnixMilli(), From: "sqlite", WithKey: b.WithKey}
	var err error
	if head.KeyID, err = sealedWith(ctx, db); err != nil {
		return Contents{}, err
	}
	w, err := newArchiver(to, b.Compression, head, b.Told)
	if err != nil {
		return Contents{}, err
	}
	defer w.discard()
	if b.WithKey {
		if err := b.addKey(w); err != nil {
			return Contents{}, err
		}
	}
	if err := addFile(ctx, w, DatabaseFile, copied); err != nil {
		return Contents{}, err
	}
	if err := b.addFiles(ctx, w, db); err != nil {
		return Contents{}, err
	}
	if w.Jobs, err = countJobs(ctx, db); err != nil {
		return Contents{}, err
	}
	return w.finish()
}

func countJobs(ctx context.Context, db *sql.DB) (n int64, err error) {
	err = db.QueryRowContext(ctx, "SELECT count(*) FROM jobs").Scan(&n)
	return n, err
}

// addKey takes master.key along, if it is what the secrets were sealed with.
func (b *backup) addKey(w *archiver) error {
	key, err := os.ReadFile(filepath.Join(b.Dir, KeyFile))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("store: there is no %s in %s to take along: secrets.key is set instead; keep that one apart, and leave out --with-key", KeyFile, b.Dir)
	}
	if err != nil {
		return err
	}
	if keyID(key) != w.KeyID {
		return fmt.Errorf("store: the secrets were not sealed with %s but with the configured secrets.key; keep that one apart, and leave out --with-key", KeyFile)
	}
	return w.addBytes(KeyFile, key)
}

// addFiles writes what the copied rows name, sorted by key.
func (b *backup) addFiles(ctx context.Context, w *archiver, db *sql.DB) error {
	return namedFiles(ctx, db, func(f namedFile) error {
		err := addFile(ctx, w, filesEntry+f.key, b.hold.path(f.key))
		switch {
		case errors.Is(err, fs.ErrNotExist) && f.need == notNeeded:
			return nil
		case err != nil:
			return err
		}
		w.Files++
		return nil
	})
}

func addFile(ctx context.Context, w *archiver, entry, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return w.add(entry, info.Size(), &gently{from: whileAlive{ctx, f}, began: time.Now()})
}

// gently reads a megabyte at a time and then rests for as long as that took, writing it away included: half of the disk
// and of a core are the server's.
type gently struct {
	from  io.Reader
	began time.Time
	read  int
}

const (
	gentleBytes = 1 << 20
	restMost    = 100 * time.Millisecond
)

func (g *gently) Read(p []byte) (int, error) {
	if g.read >= gentleBytes {
		time.Sleep(min(time.Since(g.began), restMost))
		g.read, g.began = 0, time.Now()
	}
	n, err := g.from.Read(p)
	g.read += n
	return n, err
}

// need says what becomes of a database whose file is missing.
type need int

const (
	notNeeded need = iota // its row is hidden, or its upload has ended: its bytes may be gone
	visible               // clients see it
	worked                // unfinished work reads it
)

type namedFile struct {
	key   string
	bytes int64
	need  need
}

// What rows name, by key. A hidden file's bytes stay for the jobs that read them.
const named = `SELECT blob, max(bytes), max(need) FROM (
	SELECT blob, bytes, CASE WHEN NOT (` + unread + `) THEN 2 WHEN deleted_at = 0 THEN 1 ELSE 0 END AS need
		FROM files WHERE blob <> '' AND (? = '' OR project_id = ?)
	UNION ALL SELECT blob, bytes, CASE WHEN EXISTS (SELECT 1 FROM uploads WHERE uploads.project_id = upload_parts.project_id
		AND uploads.id = upload_parts.upload_id AND uploads.status = 'pending') THEN 2 ELSE 0 END
		FROM upload_parts WHERE blob <> '' AND (? = '' OR project_id = ?)
	) AS every GROUP BY blob ORDER BY blob`

// querier is a database, a connection or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// namedFiles gives the files that the rows of SQLite name, sorted by key.
func namedFiles(ctx context.Context, db querier, each func(namedFile) error) error {
	rows, err := namedRows(ctx, db, named, "")
	if err != nil {
		return err
	}
	defer rows.Close()
	return eachNamed(rows, each)
}

func eachNamed(rows *sql.Rows, each func(namedFile) error) error {
	for rows.Next() {
		f, err := scanNamed(rows)
		if err != nil {
			return err
		}
		if err := each(f); err != nil {
			return err
		}
	}
	return rows.Err()
}

// namedRows begins to read what a project's rows name or, for "", everybody's.
func namedRows(ctx context.Context, db querier, query, project string) (*sql.Rows, error) {
	rows, err := db.QueryContext(ctx, query, project, project, project, project)
	if err != nil {
		return nil, fmt.Errorf("store: cannot list the files: %w", err)
	}
	return rows, nil
}

func scanNamed(rows *sql.Rows) (f namedFile, err error) {
	if err := rows.Scan(&f.key, &f.bytes, &f.need); err != nil {
		return f, err
	}
	if !fs.ValidPath(f.key) || path.Dir(f.key) == spoolDir {
		return f, fmt.Errorf("store: a row names a file %q that cannot be one", f.key)
	}
	return f, nil
}

// sealedWith names the key that the secrets were sealed with.
func sealedWith(ctx context.Context, db querier) (string, error) {
	var secret []byte
	err := db.QueryRowContext(ctx, "SELECT signing_secret FROM projects ORDER BY project_id LIMIT 1").Scan(&secret)
	if errors.Is(err, sql.ErrNoRows) {
		return "", errors.New("store: the database has no project: nothing was ever kept in it")
	}
	if err != nil {
		return "", err
	}
	return sealedBy(secret)
}

// sealedBy names the key that sealed a value.
func sealedBy(sealed []byte) (string, error) {
	if len(sealed) < 4 {
		return "", errors.New("store: the project has no signing secret: start `ringback serve` once")
	}
	return hex.EncodeToString(sealed[:4]), nil
}
