package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/stdlib"
)

// FilesDir is the folder in data_dir where a Folder keeps its files.
const FilesDir = "files"

// OpenFolderBeside opens the folder of files of a data_dir in which another process may be at work: its spool is left as it
// is. The folder is made if need be.
func OpenFolderBeside(dir string) (*Folder, error) {
	if err := os.MkdirAll(filepath.Join(dir, spoolDir), 0o700); err != nil {
		return nil, fmt.Errorf("store: cannot make the folder for files: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("store: cannot open the folder for files: %w", err)
	}
	return &Folder{root}, nil
}

// keyID names a key, as what it sealed does.
func keyID(key []byte) string {
	sum := sha256.Sum256(key)
	return hex.EncodeToString(sum[:4])
}

// side is one database of a move: how its tables are read, and how its statements are written.
type side struct {
	name     string // sqlite or postgres, as their folder of migrations is called
	columns  string // rows of table, column, type, and whether the column is the order of the rows alone
	orders   map[string]string
	elsewise string // the order of all other tables' rows
	rowless  string // asks whether a table does not have that order
	scan     string // what keeps a table from being sorted
}

// The columns that make a table's order stand in it for that alone: each database gives them by itself.
const (
	sqliteColumns = `SELECT m.name, p.name, p.type, p.pk > 0 AND p.type = 'INTEGER' AND (SELECT count(*) FROM pragma_table_info(m.name) WHERE pk > 0) = 1
		FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS p WHERE m.type = 'table' ORDER BY m.name, p.cid`
	postgresColumns = `SELECT table_name, column_name, data_type, is_identity = 'YES' FROM information_schema.columns
		WHERE table_schema = current_schema() ORDER BY table_name, ordinal_position`
)

// A batch's outcomes and a project's events keep their order; of a fine-tuning's log its database knows it by the same
// column.
var (
	sqliteSide = side{
		name: "sqlite", columns: sqliteColumns, scan: " NOT INDEXED", elsewise: "rowid",
		rowless: "SELECT wr FROM pragma_table_list(?)",
	}
	postgresSide = side{
		name: "postgres", columns: postgresColumns, elsewise: "ctid",
		orders: map[string]string{
			"lines": "job_id, kept", "tuning_events": "position",
			"events": "position = 0, position, kept", // those without a position get theirs after all others
		},
	}
)

func (s *side) order(ctx context.Context, db querier, table string) (order string, err error) {
	if order, own := s.orders[table]; own {
		return order, nil
	}
	var rowless bool
	if s.rowless != "" {
		err = db.QueryRowContext(ctx, s.rowless, table).Scan(&rowless)
	}
	if rowless {
		return "project_id", err
	}
	return s.elsewise, err
}

// bound writes a query's placeholders as the database wants them.
func (s *side) bound(query string) string {
	if s.name == "sqlite" {
		return query
	}
	return numbered(query)
}

// column is one that moves. Kind is text, integer, boolean or bytes.
type column struct {
	Name string `json:"name"`
	Kind string `json:"kind"`
}

// shape is what moves of a table.
type shape []column

var kinds = map[string]string{
	"TEXT": "text", "INTEGER": "integer", "BLOB": "bytes", "text": "text", "bigint": "integer", "bytea": "bytes", "boolean": "boolean",
}

// tables reads the schema: all tables whose rows belong to a project, with the columns that move. A new table or column
// needs no change here, unless it is none that moves.
func (s *side) tables(ctx context.Context, db querier) (tables map[string]shape, err error) {
	rows, err := db.QueryContext(ctx, s.columns)
	if err != nil {
		return nil, fmt.Errorf("store: cannot read the schema: %w", err)
	}
	defer rows.Close()
	all, ours := map[string]shape{}, map[string]bool{}
	for rows.Next() {
		var table, name, typ string
		var orders bool
		if err := rows.Scan(&table, &name, &typ, &orders); err != nil {
			return nil, err
		}
		ours[table] = ours[table] || name == "project_id"
		if orders && (table != eventsTable || name != positionColumn) {
			continue
		}
		all[table] = append(all[table], column{name, kinds[typ]})
	}
	for table := range all {
		if !ours[table] || slices.Contains(unmoved, table) {
			delete(all, table)
		}
	}
	return all, rows.Err()
}

// unmoved are the tables that no export takes along: the history of a project begins anew.
var unmoved = []string{"history", "job_history"}

const (
	eventsTable    = "events"
	positionColumn = "position" // clients hold positions of events: they stay
	projectsTable  = "projects"
)

// checkSchema wants the schema that this version knows.
func checkSchema(ctx context.Context, db querier, folder string) error {
	migrations, err := fs.Glob(migrations, path.Join("migrations", folder, "*.sql"))
	if err != nil {
		return err
	}
	newest, _, _ := strings.Cut(path.Base(migrations[len(migrations)-1]), "_")
	known, err := strconv.ParseInt(newest, 10, 64)
	if err != nil {
		return err
	}
	var stands int64
	if err := db.QueryRowContext(ctx, "SELECT max(version_id) FROM goose_db_version").Scan(&stands); err != nil {
		return fmt.Errorf("store: cannot read the version of the database: %w", err)
	}
	if stands != known {
		return fmt.Errorf("store: the database has version %d, and this ringback knows %d: use the version that serves on it", stands, known)
	}
	return nil
}

// openAlone opens a database of its own connection, whose statements may take long and whose transactions may be large.
func (o *Options) openAlone() (*sql.DB, *side, error) {
	if o.DSN == "" {
		db, err := openForeign(o.Dir)
		return db, &sqliteSide, err
	}
	config, err := postgresConfig(o.DSN)
	if err != nil {
		return nil, nil, err
	}
	for _, limit := range []string{"statement_timeout", "idle_in_transaction_session_timeout"} {
		config.RuntimeParams[limit] = "0"
	}
	db := stdlib.OpenDB(*config)
	db.SetMaxOpenConns(1)
	return db, &postgresSide, nil
}

// errKey tells what to do where secrets were sealed with another key.
var errKey = errors.New(`the secrets in it were sealed with another key than this ringback has. Give both the same:
  the key of an embedded ringback stands in data_dir/master.key; secrets.key takes it as text:
    export RINGBACK_SECRETS__KEY="$(base64 < data/master.key)"
  with secrets.key set, that is the key; data_dir/master.key is then not read`)
