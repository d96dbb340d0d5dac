package jobs

import "database/sql/driver"

// Remote is what a job has at its provider, beyond single calls. What is about to be made there stands in Making, and is
// committed before it is made: so whoever goes on after a crash looks for it there before making it.
type Remote struct {
	Provider       string `json:"provider,omitempty"` // by name; chosen once
	TrainingFile   string `json:"training_file,omitempty"`
	ValidationFile string `json:"validation_file,omitempty"`
	Job            string `json:"job,omitempty"`
	Making         Making `json:"making,omitempty"`
	MadeAt         Time   `json:"made_at,omitempty"` // when the job was handed over
	LastEvent      string `json:"last_event,omitempty"`
	Logged         int    `json:"logged,omitempty"` // how many entries of its log have been taken over
	Looks          int    `json:"looks,omitempty"`  // for what may have been made there, or to stop it

	Denied      int  `json:"denied,omitempty"`       // refusals of a look in a row
	DeniedSince Time `json:"denied_since,omitempty"` // the first of them
	OddSince    Time `json:"odd_since,omitempty"`    // since when its state has been none that is known
	Untold      int  `json:"untold,omitempty"`       // how often in a row a wish could not be told
	EndLooks    int  `json:"end_looks,omitempty"`    // for what was missing when it had ended there
}

// Making names what may have been made at the provider without our knowing its ID.
type Making string

// What is made at a provider.
const (
	MakingTrainingFile   Making = "training_file"
	MakingValidationFile Making = "validation_file"
	MakingJob            Making = "job"
)

// GormDataType is the kind of column (GORM).
func (Remote) GormDataType() string { return "string" }

// Value is what the row keeps (database/sql): nothing for most jobs.
func (r Remote) Value() (driver.Value, error) {
	if r == (Remote{}) {
		return "", nil
	}
	return asColumn(r)
}

// Scan reads what Value wrote (database/sql).
func (r *Remote) Scan(kept any) error {
	*r = Remote{}
	return fromColumn(kept, r)
}
