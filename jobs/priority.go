package jobs

import (
	"database/sql/driver"
	"fmt"
)

// Priority orders a project's own waiting work: what is higher goes first, always. The empty one is normal.
type Priority string

// The priorities.
const (
	PriorityHigh   Priority = "high"
	PriorityNormal Priority = "normal"
	PriorityLow    Priority = "low"
)

// Priorities are all of them, the highest first. The slice is the caller's.
func Priorities() []Priority { return []Priority{PriorityHigh, PriorityNormal, PriorityLow} }

// Rank is what rows keep and order by: the higher goes first.
func (p Priority) Rank() int {
	switch p {
	case PriorityHigh:
		return 1
	case PriorityLow:
		return -1
	}
	return 0
}

// GormDataType is the kind of column (GORM).
func (Priority) GormDataType() string { return "int" }

// Value is what the row keeps (database/sql): the rank.
func (p Priority) Value() (driver.Value, error) { return int64(p.Rank()), nil }

// Scan reads what Value wrote (database/sql).
func (p *Priority) Scan(kept any) error {
	rank, ok := kept.(int64)
	if !ok {
		return fmt.Errorf("jobs: a priority cannot be read from %T", kept)
	}
	for _, q := range Priorities() {
		if int64(q.Rank()) == rank {
			*p = q
		}
	}
	return nil
}
