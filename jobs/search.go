package jobs

// CountBound ends every count that a person is shown: beyond it the exact number tells nobody anything, and costs.
const CountBound = 10_000

// Group is a set of states that people look for together.
type Group string

// The groups. Stuck jobs are running or queued too.
const (
	GroupAll       Group = ""
	GroupRunning   Group = "running"   // at work, or checked, or written out
	GroupQueued    Group = "queued"    // not begun, or paused
	GroupStuck     Group = "stuck"     // their provider is down
	GroupCompleted Group = "completed" // and succeeded
	GroupFailed    Group = "failed"    // and cut short
	GroupStopped   Group = "stopped"   // cancelled or expired
)

// Groups are all of them.
func Groups() []Group {
	return []Group{GroupAll, GroupRunning, GroupQueued, GroupStuck, GroupCompleted, GroupFailed, GroupStopped}
}

// Search asks for a page of jobs, newest first.
type Search struct {
	ProjectID string
	Text      string // in a job's ID or metadata, letter case ignored; empty for all
	Kind      Kind   // empty for all
	Group     Group
	Since     Time   // created from then on; zero for all
	After     string // ID of the last one seen
	Limit     int
}

// EventQuery asks for a page of events, newest first, without their bodies.
type EventQuery struct {
	ProjectID string
	Type      string // a filter as of webhooks; empty for all
	JobID     string // of one job alone
	Before    int64  // position of the last one seen; zero for none
	Limit     int
}

// Standing is how much goes on in a project, each to CountBound at most.
type Standing struct {
	Open    int64 // jobs that have not ended
	Failing int64 // endpoints whose last call failed, or that Ringback switched off
	Waiting int64 // deliveries that wait or are on their way
}

// Failure is one cause of failed lines.
type Failure struct {
	Code    string // of the error, as the error file has it
	Status  int64  // HTTP; zero where no answer came
	Message string // of the first one
	Lines   int64
	Sample  []string // custom_ids, some of them
}

// OutcomeQuery asks for a page of a batch's outcomes in the order of its input.
type OutcomeQuery struct {
	Job      Ref
	CustomID string // of one line alone; empty for all
	Failed   bool   // those that failed alone
	After    int64  // the number of the last line seen; zero to begin
	Limit    int
}
