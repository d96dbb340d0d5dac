package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"time"
	"unicode/utf8"
)

// ExportOptions say which project is written.
type ExportOptions struct {
	Options     // where the facts are: Dir or DSN, as for Open; Key is not needed, for what is sealed stays so
	Files       Files
	Project     string
	Compression Compression
	Version     string         // of this program
	Told        func(Progress) // nil for nobody
}

// export is one in the making.
type export struct {
	ExportOptions
	side *side
	tx   *sql.Tx
	w    *archiver
	gone map[string]bool // files that were removed since the transaction began
	last int64           // position of an event
}

// rowsBytes is about how much of a table an entry holds; one long row may make it longer.
const rowsBytes = 1 << 20

// Export writes all that belongs to a project, files first, then the rows of each table in their order, all as it is at
// one moment. It changes nothing, takes no lock, and works beside running servers; its one read transaction lasts as long
// as it does.
//
// A file that clients delete meanwhile is exported as deleted. Only where unfinished work needed it at that moment the
// export fails, and is to be made again.
func Export(ctx context.Context, o ExportOptions, to io.Writer) (Contents, error) {
	if o.Told == nil {
		o.Told = func(Progress) {}
	}
	db, side, err := o.openAlone()
	if err != nil {
		return Contents{}, err
	}
	defer db.Close()
	tx, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return Contents{}, fmt.Errorf("store: cannot read the database: %w", kept(err))
	}
	defer tx.Rollback() //nolint:errcheck // it wrote nothing
	e := &export{ExportOptions: o, side: side, tx: tx, gone: map[string]bool{}}
	tables, err := e.begin(ctx, to)
	if err != nil {
		return Contents{}, err
	}
	defer e.w.discard()
	if err := e.addFiles(ctx); err != nil {
		return Contents{}, err
	}
	for _, table := range slices.Sorted(maps.Keys(tables)) {
		if err := e.addTable(ctx, table, tables[table]); err != nil {
			return Contents{}, err
		}
	}
	return e.w.finish()
}

func (e *export) begin(ctx context.Context, to io.Writer) (map[string]shape, error) {
	if err := checkSchema(ctx, e.tx, e.side.name); err != nil {
		return nil, err
	}
	tables, err := e.side.tables(ctx, e.tx)
	if err != nil {
		return nil, err
	}
	head := Archive{
		Kind: kindProject, Format: archiveFormat, Version: e.Version, CreatedAt: time.Now().UnixMilli(), Project: e.Project,
		From: e.side.name, Tables: tables,
	}
	var secret []byte
	err = e.tx.QueryRowContext(ctx, e.side.bound("SELECT signing_secret, events_until FROM projects WHERE project_id = ?"), e.Project).Scan(&secret, &e.last)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("store: there is no project %q", e.Project)
	}
	if err != nil {
		return nil, err
	}
	if head.KeyID, err = sealedBy(secret); err != nil {
		return nil, err
	}
	e.w, err = newArchiver(to, e.Compression, head, e.Told)
	return tables, err
}

func (e *export) addFiles(ctx context.Context) error {
	rows, err := namedRows(ctx, e.tx, e.side.bound(named), e.Project)
	if err != nil {
		return err
	}
	defer rows.Close()
	return eachNamed(rows, func(f namedFile) error {
		err := e.addFile(ctx, f)
		switch {
		case !errors.Is(err, fs.ErrNotExist):
			return err
		case f.need == worked:
			return fmt.Errorf("store: the file %s went away while it was still needed: make the export again, best while nobody is at work: %w", f.key, err)
		case f.need == visible:
			e.gone[f.key] = true
		}
		return nil
	})
}

func (e *export) addFile(ctx context.Context, f namedFile) error {
	r, err := e.Files.Open(ctx, f.key, 0)
	if err != nil {
		return err
	}
	defer r.Close()
	e.w.Files++
	return e.w.add(filesEntry+f.key, f.bytes, whileAlive{ctx, r})
}

// addTable writes a table's rows as lines of JSON, about a megabyte in each entry.
func (e *export) addTable(ctx context.Context, table string, columns shape) error {
	order, err := e.side.order(ctx, e.tx, table)
	if err != nil {
		return err
	}
	rows, err := e.tx.QueryContext(ctx, e.side.bound("SELECT "+columns.names()+" FROM "+table+e.side.scan+
		" WHERE project_id = ? ORDER BY "+order), e.Project)
	if err != nil {
		return fmt.Errorf("store: cannot read the table %s: %w", table, err)
	}
	defer rows.Close()
	var lines bytes.Buffer
	values := make([]any, len(columns))
	places := make([]any, len(columns))
	for i := range values {
		places[i] = &values[i]
	}
	for part := 1; ; {
		more := rows.Next()
		if lines.Len() > 0 && (!more || lines.Len() >= rowsBytes) {
			if err := e.w.addBytes(fmt.Sprintf("%s%s/%06d.jsonl", tablesEntry, table, part), lines.Bytes()); err != nil {
				return err
			}
			lines.Reset()
			part++
		}
		if !more {
			break
		}
		if err := rows.Scan(places...); err != nil {
			return err
		}
		if err := e.addRow(&lines, table, columns, values); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (e *export) addRow(lines *bytes.Buffer, table string, columns shape, values []any) error {
	e.amend(table, columns, values)
	e.w.Rows++
	if table == "jobs" {
		e.w.Jobs++
	}
	for i, c := range columns {
		lines.WriteString(map[bool]string{true: "{", false: ","}[i == 0])
		name, _ := json.Marshal(c.Name) // a text always encodes
		lines.Write(name)
		lines.WriteByte(':')
		if err := encodeValue(lines, c, values[i]); err != nil {
			return fmt.Errorf("store: the table %s: %w", table, err)
		}
	}
	lines.WriteString("}\n")
	return nil
}

// amend gives events a position that have none yet, after all that do, and hides files that have gone.
func (e *export) amend(table string, columns shape, values []any) {
	switch table {
	case eventsTable:
		at := columns.index(positionColumn)
		if values[at] == int64(0) {
			values[at] = e.last + 1
		}
		e.last = values[at].(int64)
	case "files":
		blob, deleted := columns.index("blob"), columns.index("deleted_at")
		if key, _ := values[blob].(string); e.gone[key] {
			values[blob], values[deleted] = "", e.w.CreatedAt
		}
	}
}

// names are the columns as a statement lists them.
func (s shape) names() string {
	var names []byte
	for i, c := range s {
		if i > 0 {
			names = append(names, ", "...)
		}
		names = append(append(append(names, '"'), c.Name...), '"')
	}
	return string(names)
}

func (s shape) index(name string) int {
	return slices.IndexFunc(s, func(c column) bool { return c.Name == name })
}

// encodeValue writes one value: texts as strings, bytes as strings of base64, and a text that is no UTF-8 as an object
// with its base64, so that nothing is changed.
func encodeValue(to *bytes.Buffer, c column, value any) error {
	switch v := value.(type) {
	case []byte:
		if c.Kind == "text" {
			value = asText(string(v))
		}
	case string:
		if value = asText(v); c.Kind == "bytes" {
			value = []byte(v)
		}
	case nil, bool, int64:
	default:
		return fmt.Errorf("the column %s holds a %T", c.Name, value)
	}
	text, err := json.Marshal(value)
	to.Write(text)
	return err
}

func asText(text string) any {
	if utf8.ValidString(text) {
		return text
	}
	return rawText{[]byte(text)}
}

// rawText is a text whose bytes are no UTF-8.
type rawText struct {
	Base64 []byte `json:"base64"`
}
