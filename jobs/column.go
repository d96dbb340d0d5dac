package jobs

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
)

// asColumn is what a row keeps of a value of this package's own shapes: JSON.
func asColumn(v any) (driver.Value, error) { return string(encode(v)), nil }

// fromColumn reads it back; nothing kept leaves the zero value.
func fromColumn(kept, into any) error {
	var b []byte
	switch v := kept.(type) {
	case nil:
	case string:
		b = []byte(v)
	case []byte:
		b = v
	default:
		return fmt.Errorf("jobs: %T cannot be read from %T", into, kept)
	}
	if len(b) == 0 {
		return nil
	}
	return json.Unmarshal(b, into)
}
