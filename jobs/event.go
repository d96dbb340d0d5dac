package jobs

// Event is a fact that happened. It never changes, and its body's bytes are frozen when it is written.
type Event struct {
	Position  int64 // place in commit order, from 1; given by the store
	ProjectID string
	ID        string // evt_…; the webhook-id of every delivery
	Type      EventType
	JobID     string // empty where it is about no job
	Model     string // the job's model; empty where there is none, or none is known yet
	Sequence  int64  // from 1 within its subject: a job, a file, …
	CreatedAt Time
	Body      []byte
	Trace     string // its job's; its callbacks go on with it. Never shown
}

// EventLimits bound what an event carries.
type EventLimits struct {
	Bytes     int    // a longer body drops the object's result and says where to fetch it; zero for no bound
	PublicURL string // where clients reach this server; result_url begins with it
}

// JobEvent freezes what happened to a job: data.object is what polling answers at this moment. The job's Sequence
// counts it, and is to be kept with the job.
func JobEvent(s *Snapshot, typ EventType, now Time, limits EventLimits) Event {
	s.Sequence++
	return s.event(typ, now, limits)
}

// SampleEvent is what a receiver would get of such a job, marked as a test. It is about nothing that exists.
func SampleEvent(s *Snapshot, typ EventType, now Time) Event {
	s.Sequence = 1
	f := s.fact(typ, now)
	f.Test = true
	return f.freeze(s.fields(now))
}

// Begun is the event of a job that a claim has just taken from queued to in_progress; false where the claim fires none.
// The claiming statement has counted the event already, so that the row needs no second write: it must add one to the
// sequence of a row that it takes from queued, and give the row as it then stands.
func Begun(claimed Job, now Time, limits EventLimits) (Event, bool) {
	if claimed.Kind != KindGeneration || claimed.Attempt != 1 {
		return Event{}, false
	}
	s := Snapshot{Job: claimed}
	return s.event(GenerationInProgress, now, limits), true
}

// event is a job's event with the number that Sequence has now. An omitted result leaves an object without it; what
// remains is small by construction, since metadata and error texts are bounded where they enter.
func (s *Snapshot) event(typ EventType, now Time, limits EventLimits) Event {
	e := s.fact(typ, now).freeze(s.fields(now))
	if limits.Bytes == 0 || len(e.Body) <= limits.Bytes {
		return e
	}
	small := *s
	small.Result, small.Errors, small.Response = nil, nil, nil
	fields := small.fields(now)
	fields.Omitted, fields.ResultURL = true, limits.PublicURL+"/v1/jobs/"+s.ID
	return small.fact(typ, now).freeze(fields)
}

// fact says what happened. A new model is a new name: whoever keeps a list of models has an old one.
func (s *Snapshot) fact(typ EventType, now Time) Fact {
	f := Fact{
		ProjectID: s.ProjectID, Type: typ, JobID: s.ID, Model: s.Model, SubjectID: s.ID, Sequence: s.Sequence,
		Scope: ScopeKey, Object: s.Object(), At: now, Trace: s.Trace,
	}
	if typ == TuningSucceeded {
		f.Scope, f.Keys = ScopeNamespace, []string{s.ID, s.Tuning.Model}
	}
	return f
}

// fields are what a generation's events show at the top, for receivers that look no further.
func (s *Snapshot) fields(now Time) jobFields {
	if s.Kind != KindGeneration {
		return jobFields{}
	}
	output := s.ModelOutput()
	return jobFields{Status: s.Status, Model: s.Model, Timestamp: now.Unix(), ModelOutput: &output}
}

// FileEvent freezes what happened to a file: FileCreated or FileDeleted. data.object is the file as it is shown, or was
// last. The file's Sequence counts it, and is to be kept with the file. A batch's output file is a subject of its own:
// the event names no job.
func FileEvent(f *File, typ EventType, now Time) Event {
	f.Sequence++
	return Fact{
		ProjectID: f.ProjectID, Type: typ, SubjectID: f.ID, Sequence: f.Sequence, Scope: ScopeKey, Object: f.Object(),
		At: now,
	}.Event()
}
