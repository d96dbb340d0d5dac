package store

import (
	"database/sql"
	"strconv"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// dialect is what the two databases say differently; all other SQL is the same for both. Conditions on booleans are bare
// ("NOT done"), and subselects have names.
type dialect struct {
	row        string    // a row's place in its table, to change some rows of many
	among      [2]string // around a query for places: the rows there
	free       string    // ends the choice of rows that another transaction may be choosing: those are left to it
	from       string    // joins the table that a query is to begin with to the next
	ofMetadata string    // two values: jobs whose metadata has a pair
	noMetadata string
	keptLines  string
	begins     string // lines whose first bytes hold a text
	joinText   string // an aggregate's name: texts in a row
	by         string // names the index that a table is read by, where the planner has no statistics to choose it with
}

var (
	onSQLite = dialect{
		row: "rowid", among: [2]string{"rowid IN (", ")"}, free: "", from: "CROSS JOIN",
		ofMetadata: "EXISTS (SELECT 1 FROM json_each(jobs.metadata) AS pair WHERE pair.key = ? AND pair.value = ?)",
		noMetadata: "(metadata IS NULL OR CAST(metadata AS TEXT) IN ('', '{}', 'null'))",
		begins:     "instr(substr(text, 1, @within), CAST(@text AS BLOB)) > 0",
		// The index over a batch's lines holds all that is needed to find them.
		keptLines: `SELECT rowid, text FROM lines WHERE rowid IN (
			SELECT rowid FROM lines INDEXED BY lines_line WHERE project_id = ? AND job_id = ? AND rowid > ? ORDER BY rowid LIMIT ? OFFSET ?)
			ORDER BY rowid`,
		joinText: "group_concat",
		by:       " INDEXED BY ",
	}
	onPostgres = dialect{
		// An array is looked up place by place; IN may be planned as a look at the whole table.
		row: "ctid", among: [2]string{"ctid = ANY (ARRAY(", "))"}, free: " FOR UPDATE SKIP LOCKED", from: "JOIN",
		// NUL and half a surrogate pair are in no text of PostgreSQL's: a job that has such a value is left out, not an error.
		ofMetadata: `CASE WHEN metadata IS NULL OR convert_from(metadata, 'UTF8') IN ('', 'null') OR regexp_replace(replace(convert_from(metadata, 'UTF8'), '\\', ''),
				'\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}', '', 'g') ~ '\\u([dD][89a-fA-F]|0000)' THEN FALSE
			ELSE EXISTS (SELECT 1 FROM json_each_text(convert_from(metadata, 'UTF8')::json) AS pair WHERE pair.key = ? AND pair.value = ?) END`,
		begins:     "position(convert_to(@text, 'UTF8') IN substr(text, 1, @within)) > 0",
		noMetadata: "(metadata IS NULL OR convert_from(metadata, 'UTF8') IN ('', '{}', 'null'))",
		keptLines:  `SELECT kept, text FROM lines WHERE project_id = ? AND job_id = ? AND kept > ? ORDER BY kept LIMIT ? OFFSET ?`,
		joinText:   "string_agg",
	}
)

// sqlOf is the dialect of a connection.
func sqlOf(db *gorm.DB) *dialect {
	if db.Name() == "postgres" {
		return &onPostgres
	}
	return &onSQLite
}

// readBy is a table as a query reads it: by an index, where that has to be said.
func (d *dialect) readBy(table, index string) string {
	if d.by == "" {
		return table
	}
	return table + d.by + index
}

// joined puts all texts of a column in a row.
func (d *dialect) joined(column string) string { return d.joinText + "(" + column + ", '')" }

// some picks rows of a table by a condition, at most as many as its last value says: for UPDATE … WHERE and DELETE … WHERE.
// What another transaction has in hand is left out.
func some(db *gorm.DB, table, which string) string {
	d := sqlOf(db)
	return d.among[0] + "SELECT " + d.row + " FROM " + table + " WHERE " + which + " LIMIT ?" + d.free + d.among[1]
}

// locked has a transaction read rows that it means to change: nobody else changes them before it ends. SQLite has one
// writer, which needs no locks.
func locked(tx *gorm.DB) *gorm.DB { return tx.Clauses(clause.Locking{Strength: "UPDATE"}) }

// standing has a transaction read rows that nobody shall change before it ends; others may read them so at the same time.
func standing(tx *gorm.DB) *gorm.DB { return tx.Clauses(clause.Locking{Strength: "SHARE"}) }

// keeping has a transaction read rows that shall still be there when it ends: others may change them, but not remove them.
func keeping(tx *gorm.DB) *gorm.DB { return tx.Clauses(clause.Locking{Strength: "KEY SHARE"}) }

// exec runs a statement on GORM's connection, as all do that come once for each line or callback: at this rate the query
// builder would cost more than the query.
func exec(tx *gorm.DB, query string, args ...any) error {
	_, err := tx.Statement.ConnPool.ExecContext(tx.Statement.Context, bound(tx, query), args...)
	return err
}

// each runs a query on GORM's connection and hands each row to scan.
func each(tx *gorm.DB, scan func(*sql.Rows) error, query string, args ...any) error {
	rows, err := tx.Statement.ConnPool.QueryContext(tx.Statement.Context, bound(tx, query), args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// bound writes a query's placeholders as its database wants them.
func bound(tx *gorm.DB, query string) string {
	if sqlOf(tx) == &onSQLite {
		return query
	}
	return numbered(query)
}

// numbered writes a query's placeholders as PostgreSQL wants them.
func numbered(query string) string {
	text := make([]byte, 0, len(query)+len(query)/2)
	for i, part := range strings.Split(query, "?") {
		if i > 0 {
			text = strconv.AppendInt(append(text, '$'), int64(i), 10)
		}
		text = append(text, part...)
	}
	return string(text)
}
