package jobs

import (
	"encoding/json"
	"slices"
	"time"
)

// UploadStatus is where an upload stands, in OpenAI's words: pending → completed | cancelled | expired.
type UploadStatus string

// The states of uploads. All but the first are final.
const (
	UploadPending   UploadStatus = "pending"
	UploadCompleted UploadStatus = "completed"
	UploadCancelled UploadStatus = "cancelled"
	UploadExpired   UploadStatus = "expired"
)

// UploadTTL is how long after its creation an upload can be completed (OpenAI: one hour).
const UploadTTL = time.Hour

// maxParts bounds the rows and the blobs of one upload. Parts of 1 MB still make the largest file.
const maxParts = 10_000

// Upload is a file that comes in parts, which may be sent side by side and in any order. It is no job: it waits for its
// client alone, and becomes a File when it is completed.
type Upload struct {
	ProjectID string
	ID        string // upload_…
	Status    UploadStatus
	Filename  string
	Purpose   string
	MimeType  string // as the client says; nothing depends on it
	Bytes     int64  // of the whole, as declared
	FileTTL   int64  // seconds that the file is kept; zero for the purpose's default
	Parts     int64  // how many have come
	Received  int64  // their bytes
	PartIDs   Texts  // what it was completed with, in order
	FileID    string // the file that it became
	CreatedAt Time
	ExpiresAt Time // no longer to be completed from here on
	EndedAt   Time
}

// UploadPart is one piece of an upload. Its bytes are in the file store under Blob until the upload has ended.
type UploadPart struct {
	ProjectID string
	ID        string // part_…
	UploadID  string
	Bytes     int64
	Blob      string
	CreatedAt Time
}

// UploadSnapshot is an upload at one moment, with the file that it became.
type UploadSnapshot struct {
	Upload
	File *File // nil until completed, and again once the file is gone
}

// UploadEffects are the facts that commit together with an upload's new state.
type UploadEffects struct {
	Part *UploadPart
	File *File // fires its FileCreated
}

// Ref names the upload.
func (u *Upload) Ref() Ref { return Ref{u.ProjectID, u.ID} }

// Lapse expires an upload whose time has passed, and tells whether it did. The row may say so later: this decides.
func (u *Upload) Lapse(now Time) bool {
	if u.Status != UploadPending || now < u.ExpiresAt {
		return false
	}
	u.end(UploadExpired, now)
	return true
}

func (u *Upload) end(s UploadStatus, now Time) { u.Status, u.EndedAt = s, now }

// open is nil while an upload can be added to, completed and cancelled. OpenAI answers 400 afterwards, no conflict.
func (u *Upload) open(now Time) error {
	if u.Lapse(now); u.Status == UploadPending {
		return nil
	}
	return Errorf(CodeInvalid, "", "The upload '%s' has the status '%s': no parts can be added to it, and it can be neither completed nor cancelled. Create a new upload.", u.ID, u.Status)
}

// add takes a part. Together they may be longer than declared by one part of the longest kind, since a client that heard
// no answer sends a part again. So an upload of one byte can hold a part of the longest kind until it expires: what
// uploads together may hold is bounded by none of this.
func (u *Upload) add(p *UploadPart, longest int64, now Time) (UploadEffects, error) {
	if err := u.open(now); err != nil {
		return UploadEffects{}, err
	}
	if u.Parts >= maxParts {
		return UploadEffects{}, Errorf(CodeInvalid, "data", "The upload '%s' has %d parts, the most that one can have. Send larger parts.", u.ID, u.Parts)
	}
	if together := u.Received + p.Bytes; together > u.Bytes+longest {
		return UploadEffects{}, Errorf(CodeInvalid, "data", "With this part the upload '%s' would have %d bytes in parts, but it was created for %d bytes.", u.ID, together, u.Bytes)
	}
	u.Parts, u.Received = u.Parts+1, u.Received+p.Bytes
	return UploadEffects{Part: p}, nil
}

// complete ends an upload with the file that its parts make in this order. Who completes it again with the same parts,
// after it or beside it, is answered as the first was, and f is not taken.
func (u *Upload) complete(parts []string, f *File, now Time) (UploadEffects, error) {
	if u.Status == UploadCompleted && slices.Equal(u.PartIDs, parts) {
		return UploadEffects{}, nil
	}
	if err := u.open(now); err != nil {
		return UploadEffects{}, err
	}
	if f == nil {
		return UploadEffects{}, ErrStale
	}
	u.end(UploadCompleted, now)
	u.PartIDs, u.FileID = parts, f.ID
	return UploadEffects{File: f}, nil
}

func (u *Upload) cancel(now Time) (UploadEffects, error) {
	if err := u.open(now); err != nil {
		return UploadEffects{}, err
	}
	u.end(UploadCancelled, now)
	return UploadEffects{}, nil
}

// pick gives an upload's parts in the order in which a client names them: each is the upload's, none stands twice, and
// together they are as long as declared.
func (u *Upload) pick(all []UploadPart, ids []string) ([]UploadPart, error) {
	known := make(map[string]UploadPart, len(all))
	for _, p := range all {
		known[p.ID] = p
	}
	picked, total := make([]UploadPart, 0, len(ids)), int64(0)
	taken := make(map[string]bool, len(ids))
	for _, id := range ids {
		p, there := known[id]
		switch {
		case !there:
			return nil, Errorf(CodeValue, "part_ids", "The upload '%s' has no part '%s'.", u.ID, shorten(id))
		case taken[id]:
			return nil, Errorf(CodeValue, "part_ids", "The part '%s' stands twice in 'part_ids'. Name each part once.", id)
		}
		taken[id] = true
		picked, total = append(picked, p), total+p.Bytes
	}
	if total != u.Bytes {
		return nil, Errorf(CodeInvalid, "part_ids", "The parts have %d bytes together, but the upload was created for %d bytes.", total, u.Bytes)
	}
	return picked, nil
}

type uploadObject struct {
	ID        string          `json:"id"`
	Object    string          `json:"object"`
	Bytes     int64           `json:"bytes"`
	CreatedAt int64           `json:"created_at"`
	Filename  string          `json:"filename"`
	Purpose   string          `json:"purpose"`
	Status    UploadStatus    `json:"status"`
	ExpiresAt int64           `json:"expires_at"`
	File      json.RawMessage `json:"file"`
}

// Object is the upload as the API shows it.
func (s *UploadSnapshot) Object() []byte {
	o := uploadObject{
		ID: s.ID, Object: "upload", Bytes: s.Bytes, CreatedAt: s.CreatedAt.Unix(), Filename: s.Filename,
		Purpose: s.Purpose, Status: s.Status, ExpiresAt: s.ExpiresAt.Unix(),
	}
	if s.File != nil {
		o.File = s.File.Object()
	}
	return encode(o)
}

type uploadPartObject struct {
	ID        string `json:"id"`
	Object    string `json:"object"`
	CreatedAt int64  `json:"created_at"`
	UploadID  string `json:"upload_id"`
}

// Object is the part as the API shows it.
func (p *UploadPart) Object() []byte {
	return encode(uploadPartObject{ID: p.ID, Object: "upload.part", CreatedAt: p.CreatedAt.Unix(), UploadID: p.UploadID})
}
