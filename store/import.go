package store

import (
	"archive/tar"
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// ImportOptions say how an export is taken in.
type ImportOptions struct {
	Options // where the facts go, as for Open; SQLite in Dir must not be in use
	Files   Files
	OldKey  []byte         // the key that sealed the secrets, where it is another than this store's; they are sealed anew
	Told    func(Progress) // nil for nobody
}

// Imported is what an import has done.
type Imported struct {
	Contents
	// Mended counts texts that PostgreSQL cannot keep as they were, NUL or bytes that are no UTF-8 in them: � stands there.
	Mended int64 `json:"mended"`
}

// Import takes in what Export has written, as a whole or not at all: the files first, then all rows in one transaction,
// which commits after the archive's last checksum has proved right. After a crash it is run again: it writes the same files
// under the same keys. Where it is not, their bytes are named by no row, and go after a day.
//
// The project must be empty here. Secrets come as they were sealed: this store needs the same key, or OldKey. Claims come
// with the owners that they had: on SQLite the next start of serve frees them, on PostgreSQL any worker does within seconds
// (TakeOver), for these owners have no heartbeat here. Events keep their positions, unless other projects' events have them on SQLite.
func Import(ctx context.Context, o ImportOptions, from io.Reader) (done Imported, err error) {
	if o.Told == nil {
		o.Told = func(Progress) {}
	}
	a, err := openArchive(from, kindProject, o.Told)
	if err != nil {
		return done, err
	}
	defer a.end()
	if err := o.checkKey(a.KeyID); err != nil {
		return done, err
	}
	s, err := Open(ctx, o.Options)
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return s.take(ctx, o, a)
}

// checkKey comes before a new database gets a key of its own, which another one could not open any more.
func (o *ImportOptions) checkKey(sealedBy string) error {
	key := o.Key
	if len(key) == 0 && o.DSN == "" {
		key, _ = os.ReadFile(filepath.Join(o.Dir, KeyFile)) // without one a new one is made
	}
	if len(o.OldKey) == 0 && keyID(key) != sealedBy {
		return fmt.Errorf("store: this export cannot be imported with this key: %w%s", errKey, orReseal)
	}
	return nil
}

// take takes in an archive whose head has been read.
func (s *Store) take(ctx context.Context, o ImportOptions, a *archive) (Imported, error) {
	db, side, err := s.openToImport()
	if err != nil {
		return Imported{}, err
	}
	defer db.Close()
	i := &importing{archive: a, ImportOptions: o, store: s, db: db, side: side}
	defer i.rollback()
	if err := i.check(ctx); err != nil {
		return Imported{}, err
	}
	if err := i.takeAll(ctx); err != nil {
		return Imported{}, err
	}
	return Imported{Contents: a.Contents, Mended: i.mended}, i.commit(ctx)
}

// openToImport opens a connection whose transaction may be large. On SQLite the store's lock keeps others away, and its
// writer is idle.
func (s *Store) openToImport() (*sql.DB, *side, error) {
	if s.Shared() {
		return s.options.openAlone()
	}
	db, err := sql.Open("sqlite3", dsn(filepath.Join(s.options.Dir, DatabaseFile), "_txlock=immediate&_synchronous=FULL"))
	if err == nil {
		db.SetMaxOpenConns(1)
	}
	return db, &sqliteSide, err
}

// importing is one import at work.
type importing struct {
	*archive
	ImportOptions
	store  *Store
	db     *sql.DB
	side   *side
	tx     *sql.Tx // from the first row on
	tables map[string]shape
	seals  *resealer // nil where secrets stay as they are
	shift  int64     // of the positions of events
	mended int64
	rows   *insert
}

// check refuses what cannot go well before anything is written.
func (i *importing) check(ctx context.Context) (err error) {
	if i.seals, err = newResealer(i.OldKey, i.KeyID, i.store.seal); err != nil {
		return err
	}
	if i.tables, err = i.side.tables(ctx, i.db); err != nil {
		return err
	}
	if !slices.Equal(slices.Sorted(maps.Keys(i.tables)), slices.Sorted(maps.Keys(i.Tables))) {
		return fmt.Errorf("store: version %s made this export, and it has other tables than this database: export and import with the same version", i.Version)
	}
	for table, here := range i.tables {
		if !slices.Equal(here.sorted(), i.Tables[table].sorted()) {
			return fmt.Errorf("store: version %s made this export, and its table %s has other columns than this database: export and import with the same version", i.Version, table)
		}
	}
	return i.empty(ctx, i.db)
}

func (s shape) sorted() (names []string) {
	for _, c := range s {
		names = append(names, c.Name)
	}
	slices.Sort(names)
	return names
}

// empty wants a project of which there is nothing but, perhaps, its own row.
func (i *importing) empty(ctx context.Context, db querier) error {
	for _, table := range slices.Sorted(maps.Keys(i.tables)) {
		var some bool
		if table == projectsTable {
			continue
		}
		err := db.QueryRowContext(ctx, i.side.bound("SELECT EXISTS (SELECT 1 FROM "+table+" WHERE project_id = ?)"), i.Project).Scan(&some)
		if err != nil {
			return err
		}
		if some {
			return fmt.Errorf("store: the project %q is not empty here (there is something in its %s): import into a database in which it has done nothing yet", i.Project, table)
		}
	}
	return nil
}

func (i *importing) takeAll(ctx context.Context) error {
	for {
		entry, err := i.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = i.take(ctx, entry)
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
	}
	if i.tx == nil {
		return ErrIncomplete
	}
	return i.rows.flush(ctx)
}

func (i *importing) take(ctx context.Context, entry *tar.Header) error {
	if key, ok := strings.CutPrefix(entry.Name, filesEntry); ok && i.tx == nil {
		return i.takeFile(ctx, entry, key)
	}
	table, ok := strings.CutPrefix(path.Dir(entry.Name), tablesEntry)
	if !ok || i.tables[table] == nil {
		return ErrDamaged
	}
	if i.tx == nil {
		if err := i.begin(ctx); err != nil {
			return err
		}
	}
	return i.takeRows(ctx, entry, table)
}

func (i *importing) takeFile(ctx context.Context, entry *tar.Header, key string) error {
	if path.Dir(key) == spoolDir {
		return ErrDamaged
	}
	in := i.reader(entry)
	if _, err := i.Files.Put(ctx, key, in); err != nil {
		return err
	}
	i.Contents.Files++
	return in.done()
}

// begin has the database for itself on SQLite; on PostgreSQL it looks once more whether the project is empty.
func (i *importing) begin(ctx context.Context) (err error) {
	if i.tx, err = i.db.BeginTx(ctx, nil); err != nil {
		return fmt.Errorf("store: cannot begin to write: %w", kept(err))
	}
	if err := i.empty(ctx, i.tx); err != nil {
		return err
	}
	if _, err := i.tx.ExecContext(ctx, i.side.bound("DELETE FROM projects WHERE project_id = ?"), i.Project); err != nil {
		return err
	}
	if i.side == &sqliteSide {
		return i.tx.QueryRowContext(ctx, "SELECT coalesce(max(position), 0) FROM events").Scan(&i.shift)
	}
	return nil
}

// mostRow bounds what is taken for one row: nothing that Ringback keeps comes near it.
const mostRow = 512 << 20

// row reads a line with its break; the last one may have none.
func row(lines *bufio.Reader) (line []byte, err error) {
	for {
		some, err := lines.ReadSlice('\n')
		if line = append(line, some...); !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
		if len(line) > mostRow {
			return nil, ErrDamaged
		}
	}
}

func (i *importing) takeRows(ctx context.Context, entry *tar.Header, table string) error {
	if i.rows == nil || i.rows.table != table {
		if err := i.rows.flush(ctx); err != nil {
			return err
		}
		i.rows = &insert{importing: i, table: table, columns: i.tables[table]}
	}
	in := i.reader(entry)
	lines := bufio.NewReaderSize(whileAlive{ctx, in}, 64<<10)
	for {
		line, err := row(lines)
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return in.done()
		}
		if err != nil {
			return torn(err)
		}
		if err := i.rows.add(ctx, line); err != nil {
			return err
		}
	}
}

// passPositions has those that are given from now on be higher than all that came, also than those that have gone since.
const passPositions = `SELECT setval('event_positions', greatest((SELECT last_value FROM event_positions),
	(SELECT coalesce(max(position), 0) + 1000 FROM events), (SELECT max(events_until) + 1000 FROM projects)))`

const (
	beginPositions = `INSERT INTO sqlite_sequence (name, seq) SELECT 'events', 0 WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'events')`
	raisePositions = `UPDATE sqlite_sequence SET seq = max(seq, (SELECT coalesce(max(position), 0) FROM events), (SELECT coalesce(max(events_until), 0) FROM projects)) + ?
		WHERE name = 'events'`
)

// passSQLitePositions does it on SQLite, and leaves room.
func passSQLitePositions(ctx context.Context, db interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}, room int64,
) error {
	if _, err := db.ExecContext(ctx, beginPositions); err != nil {
		return err
	}
	_, err := db.ExecContext(ctx, raisePositions, room)
	return err
}

func (i *importing) passPositions(ctx context.Context) error {
	if i.side == &sqliteSide {
		return passSQLitePositions(ctx, i.tx, 0)
	}
	if _, err := i.tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", eventLock); err != nil {
		return err
	}
	_, err := i.tx.ExecContext(ctx, passPositions)
	return err
}

func (i *importing) commit(ctx context.Context) error {
	if err := i.passPositions(ctx); err != nil {
		return fmt.Errorf("store: cannot move on the positions of events: %w", err)
	}
	err := i.tx.Commit()
	i.tx = nil
	if err != nil {
		return fmt.Errorf("store: cannot commit: %w", kept(err))
	}
	return nil
}

func (i *importing) rollback() {
	if i.tx != nil {
		_ = i.tx.Rollback() // the connection's end does it as well
	}
}
