package jobs

import "database/sql/driver"

// Texts is a list of texts that a row keeps as JSON. An empty list is kept as none.
type Texts []string

// GormDataType is the kind of column (GORM): it cannot tell from a value that is nil for an empty list.
func (Texts) GormDataType() string { return "string" }

// Value is what the row keeps (database/sql).
func (t Texts) Value() (driver.Value, error) {
	if len(t) == 0 {
		return nil, nil
	}
	return asColumn([]string(t))
}

// Scan reads what Value wrote (database/sql).
func (t *Texts) Scan(kept any) error {
	*t = nil
	return fromColumn(kept, (*[]string)(t))
}
