package jobs

import "github.com/oklog/ulid/v2"

// NewID makes an identifier: a prefix that says what it names, and a ULID, so that IDs sort by creation. It is no secret.
func NewID(prefix string) string { return prefix + ulid.Make().String() }
