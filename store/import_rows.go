package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	// Both databases bound the values of one statement, SQLite at 32,766.
	insertValues = 10_000
	insertBytes  = 4 << 20
)

// insert gathers the rows of one table into statements.
type insert struct {
	*importing
	table   string
	columns shape
	values  []any
	size    int
}

// add takes one line of JSON.
func (n *insert) add(ctx context.Context, line []byte) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(line, &fields); err != nil || len(fields) != len(n.columns) {
		return fmt.Errorf("%w: a row of the table %s", ErrDamaged, n.table)
	}
	row := make([]any, len(n.columns))
	for i, c := range n.columns {
		field, there := fields[c.Name]
		value, err := n.decode(c, field)
		if err != nil || !there {
			return fmt.Errorf("%w: the column %s of a row of the table %s", ErrDamaged, c.Name, n.table)
		}
		row[i] = value
	}
	if err := n.amend(row); err != nil {
		return err
	}
	n.values = append(n.values, row...)
	n.size += len(line)
	n.Rows++
	if n.table == "jobs" {
		n.Jobs++
	}
	if len(n.values)+len(n.columns) > insertValues || n.size > insertBytes {
		return n.flush(ctx)
	}
	return nil
}

// amend wants the row to be the project's own, seals its secrets anew where that was asked for, and moves positions.
func (n *insert) amend(row []any) error {
	if row[n.columns.index("project_id")] != n.Project {
		return fmt.Errorf("%w: a row of the table %s belongs to another project", ErrDamaged, n.table)
	}
	if n.table == eventsTable {
		at := n.columns.index(positionColumn)
		position, ok := row[at].(int64)
		if !ok {
			return ErrDamaged
		}
		row[at] = position + n.shift
	}
	return n.seals.row(n.table, n.columns, row)
}

// decode reads a value as the column here wants it: what one database calls a boolean is an integer in the other.
func (n *insert) decode(c column, field json.RawMessage) (any, error) {
	if string(field) == "null" {
		return nil, nil //nolint:nilnil // it is none
	}
	switch c.Kind {
	case "text":
		return n.text(field)
	case "bytes":
		value := []byte{}
		return value, json.Unmarshal(field, &value)
	}
	var number int64
	switch string(field) {
	case "true":
		number = 1
	case "false":
	default:
		if err := json.Unmarshal(field, &number); err != nil {
			return nil, err
		}
	}
	if c.Kind == "boolean" {
		return number != 0, nil
	}
	return number, nil
}

// text keeps what PostgreSQL has no place for out of it.
func (n *insert) text(field json.RawMessage) (text string, err error) {
	if strings.HasPrefix(string(field), "{") {
		var raw rawText
		err = json.Unmarshal(field, &raw)
		text = string(raw.Base64)
	} else {
		err = json.Unmarshal(field, &text)
	}
	if n.side == &postgresSide && (!utf8.ValidString(text) || strings.ContainsRune(text, 0)) {
		n.mended++
		text = strings.ReplaceAll(strings.ToValidUTF8(text, "\ufffd"), "\x00", "\ufffd")
	}
	return text, err
}

// flush writes what was gathered; nil has nothing.
func (n *insert) flush(ctx context.Context) error {
	if n == nil || len(n.values) == 0 {
		return nil
	}
	row := "(?" + strings.Repeat(", ?", len(n.columns)-1) + ")"
	query := "INSERT INTO " + n.table + " (" + n.columns.names() + ") VALUES " + row +
		strings.Repeat(", "+row, len(n.values)/len(n.columns)-1)
	if _, err := n.tx.ExecContext(ctx, n.side.bound(query), n.values...); err != nil {
		return fmt.Errorf("store: cannot write rows of the table %s: %w", n.table, kept(err))
	}
	clear(n.values)
	n.values, n.size = n.values[:0], 0
	return nil
}
