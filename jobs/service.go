package jobs

import (
	"context"
	"io"
	"time"

	"github.com/ringback/ringback/providers"
)

// Records is what the Service asks of the store.
type Records interface {
	// CreateFile keeps a file whose bytes are in the file store, with its FileCreated. A used Idempotency-Key answers
	// *Replay.
	CreateFile(ctx context.Context, f File, idem *Idempotency) error
	File(ctx context.Context, ref Ref) (File, error)
	// DeleteFile hides a file, with its FileDeleted, and returns the blob to remove: empty while an unfinished job still
	// reads it.
	DeleteFile(ctx context.Context, ref Ref, now Time) (blob string, err error)

	// Replayed answers *Replay where the Idempotency-Key has created already, or CodeKeyReused where something else; nil
	// where it is new, or nil itself.
	Replayed(ctx context.Context, project string, idem *Idempotency) error
	// CreateJob commits a job with its webhook, body, file and events. The answer goes out after it, never before.
	CreateJob(ctx context.Context, n NewJob) (Woken, error)
	Job(ctx context.Context, ref Ref) (Snapshot, error)
	Mover
	UploadRecords
	ModelRecords
	ResponseRecords
}

// Mover changes a job by compare-and-set: move sees the row as it stands, in the transaction that will write it, and
// may run twice; what it returns commits with the row. Its error is returned and nothing is written.
type Mover interface {
	Move(ctx context.Context, ref Ref, move func(*Job) (Effects, error)) (Snapshot, Woken, error)
}

// Effects are the facts that commit together with a job's new state.
type Effects struct {
	Events []EventType
	Result []byte        // a single call's answer
	Files  []File        // what the job has produced; each fires its FileCreated
	Shards []Shard       // the index of a validated batch; replaces what stood there
	Hush   bool          // the batch's shards are not to be woken any more
	Took   time.Duration // the single call that brought Result; zero where that is not known. Not kept

	Log         []TuningEvent // of a fine-tuning; those of its provider that stand there already are left out
	Checkpoints []Checkpoint  // the same
	Model       *Model        // that a fine-tuning has made
}

// Blobs is where the bytes are.
type Blobs interface {
	// Put stores all of r under key, durably, and removes what it wrote when r or the disk fails.
	Put(ctx context.Context, key string, r io.Reader) (bytes int64, err error)
	// Open reads from offset to the end.
	Open(ctx context.Context, key string, offset int64) (io.ReadCloser, error)
	Remove(ctx context.Context, key string) error
}

// Router finds the provider of a model.
type Router interface {
	Route(model string) (*providers.Provider, error)
	Provider(name string) (*providers.Provider, bool)
	Providers() []*providers.Provider
}

// Limits bound what is accepted.
type Limits struct {
	BatchLines int   // lines of one batch
	BatchBytes int64 // bytes of a batch's input file
	FileBytes  int64 // bytes of a file that comes in one request
	ShardLines int   // lines that are claimed together

	UploadBytes     int64 // bytes of a file that comes in parts
	UploadPartBytes int64 // bytes of each part

	BodyBytes   int64 // bytes of a request, with the conversation that it continues; zero: 16 MiB
	AnswerBytes int64 // bytes of one answer of a provider; zero: the stream of an answer is not bounded
}

// ServiceOptions are the parts a Service works with.
type ServiceOptions struct {
	Records  Records
	Blobs    Blobs
	Router   Router
	Waker    Waker
	Watchers *Watchers
	Limits   Limits
	Now      func() time.Time
}

// Service is what clients can do: the commands behind the API. What they read, package web reads from the store.
type Service struct {
	ServiceOptions
	continuing chan struct{} // holds one for each conversation that is being put together
	completing busy          // uploads
}

// NewService makes a Service.
func NewService(o ServiceOptions) *Service {
	return &Service{ServiceOptions: o, continuing: make(chan struct{}, continuedAtOnce)}
}

func (s *Service) now() Time { return At(s.Now()) }

// FileQuery asks for a page of files.
type FileQuery struct {
	ProjectID string
	Purpose   string // empty for all
	After     string // ID of the last one seen
	Limit     int
	Ascending bool
}

// JobQuery asks for a page of jobs, newest first.
type JobQuery struct {
	ProjectID string
	Kind      Kind   // empty for all
	Status    Status // empty for all
	After     string // ID of the last one seen
	Limit     int

	Metadata   map[string]string // pairs that a job's metadata must hold, all of them; nil for any
	NoMetadata bool              // those without metadata alone
}

// PartQuery asks for a page of what belongs to one job.
type PartQuery struct {
	Job   Ref
	After string // ID of the last one seen
	Limit int
}

// ResultQuery asks for a page of a batch's outcomes, in the order in which they were kept: it never changes, and what is
// new comes last.
type ResultQuery struct {
	Job   Ref
	After int64 // the place of the last one read; zero to begin
	Skip  int64 // and so many more
}

// NewJob is all that a submission commits.
type NewJob struct {
	Job         Job
	Webhook     *Webhook // the receiver it names, if any
	Body        []byte   // the request body as it goes to the provider; nil for a batch
	Log         []TuningEvent
	File        *File        // that the submission brought along; it fires its FileCreated
	Response    *Response    // of a response
	Events      []EventType  // fired by the creation itself
	Idempotency *Idempotency // with Answer, if the client gave a key
	AsJob       bool         // the client is answered as GET /v1/jobs/{id} answers
	Answer      []byte       // what the client is answered, kept with the key
}

// Wait reads a job as soon as its status differs from what it is now, or it has ended, or the time is up.
func (s *Service) Wait(ctx context.Context, ref Ref, wait time.Duration) (Snapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	changed, stop := s.Watchers.Watch(ref)
	defer stop()
	first, err := s.Records.Job(context.WithoutCancel(ctx), ref) // who asks is answered, however short the wait
	if err != nil {
		return first, err
	}
	for current := first; ; {
		if current.Status.Terminal() || current.Status != first.Status {
			return current, nil
		}
		select {
		case <-ctx.Done():
			return current, nil
		case <-changed:
		case <-time.After(time.Second): // another process may have moved it
		}
		if next, err := s.Records.Job(ctx, ref); err == nil {
			current = next
		}
	}
}
