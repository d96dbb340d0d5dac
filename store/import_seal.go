package store

import (
	"encoding/hex"
	"fmt"

	"github.com/ringback/ringback/jobs"
)

// sealed are the columns whose values are sealed, each with its place, which is part of the seal.
var sealed = map[string]map[string]func(project, id string) string{
	projectsTable: {
		"signing_secret": func(p, _ string) string { return (&project{ProjectID: p}).secretPlace() },
		"private_key":    func(p, _ string) string { return (&project{ProjectID: p}).keyPlace() },
	},
	"webhooks":         {"spec": func(p, id string) string { return (&webhook{ProjectID: p, ID: id}).place() }},
	"endpoints":        {"target": func(p, id string) string { return endpointPlace(jobs.Ref{ProjectID: p, ID: id}) }},
	"idempotency_keys": {"answer": func(p, key string) string { return (&idempotencyKey{ProjectID: p, Key: key}).place() }},
}

// orReseal goes on where errKey ends.
const orReseal = "\n  or give the old key too, and let `ringback import --reseal` seal them anew"

// resealer opens with one key and seals with another.
type resealer struct{ from, to *sealer }

// newResealer is nil where secrets may stay as they are; the key that sealed them must be one of the two.
func newResealer(old []byte, id string, to *sealer) (*resealer, error) {
	if id == hex.EncodeToString(to.id[:]) {
		return nil, nil //nolint:nilnil // nothing to do
	}
	if len(old) == 0 {
		return nil, fmt.Errorf("store: this export cannot be imported with this key: %w%s", errKey, orReseal)
	}
	from, err := newSealer(old, "", false)
	if err != nil {
		return nil, err
	}
	if keyID(old) != id {
		return nil, fmt.Errorf("store: the old key that was given is not the one either: %w", errKey)
	}
	return &resealer{from, to}, nil
}

// row seals a row's secrets anew.
func (r *resealer) row(table string, columns shape, row []any) error {
	if r == nil {
		return nil
	}
	if table == "idempotency_keys" && row[columns.index("sealed")] != any(true) && row[columns.index("sealed")] != any(int64(1)) {
		return nil
	}
	text := func(name string) string {
		if i := columns.index(name); i >= 0 {
			t, _ := row[i].(string)
			return t
		}
		return ""
	}
	id := text("id") + text("key") // no table has both
	for name, place := range sealed[table] {
		at := columns.index(name)
		value, _ := row[at].([]byte)
		if len(value) == 0 {
			continue
		}
		where := place(text("project_id"), id)
		plain, err := r.from.open(where, value)
		if err != nil {
			return err
		}
		row[at] = r.to.seal(where, plain)
	}
	return nil
}
