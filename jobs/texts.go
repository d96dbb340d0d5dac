package jobs

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
)

// Texts is a list of texts that a row keeps as JSON. An empty list is kept as none.
type Texts []string

// GormDataType is the kind of column (GORM): it cannot tell from a value that is nil for an empty list.
func (Texts) GormDataType() string { return "string" }

// Value is what the row keeps (database/sql).
func (t Texts) Value() (driver.Value, error) {
	if len(t) == 0 {
		return nil, nil
	}
	return string(encode([]string(t))), nil
}

// Scan reads what Value wrote (database/sql).
func (t *Texts) Scan(kept any) error {
	*t = nil
	switch v := kept.(type) {
	case nil:
		return nil
	case string:
		return json.Unmarshal([]byte(v), t)
	case []byte:
		return json.Unmarshal(v, t)
	}
	return fmt.Errorf("jobs: a list of texts cannot be read from %T", kept)
}
