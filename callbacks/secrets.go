package callbacks

import (
	"time"

	"github.com/ringback/ringback/jobs"
)

// overlap is how long a replaced secret goes on signing where its owner asks for it (OpenAI: 24 h).
const overlap = 24 * time.Hour

// mostSecrets bounds the live secrets of one receiver: each adds a signature to the header.
const mostSecrets = 8

// Secret is one signing secret and how long it signs.
type Secret struct {
	Text  string    `json:"secret"`          // whsec_…
	Until jobs.Time `json:"until,omitempty"` // zero: until it is replaced
}

// Secrets are a receiver's signing secrets, newest first. Only the first has no end.
type Secrets []Secret

// Live are the texts of those that sign at a time, newest first.
func (s Secrets) Live(now jobs.Time) []string {
	var live []string
	for _, secret := range s {
		if secret.Until == 0 || secret.Until > now {
			live = append(live, secret.Text)
		}
	}
	return live
}

// Rotate puts a new secret first. With keep, those that sign now go on for the overlap, each at most until its own end;
// without it they end at once.
func (s Secrets) Rotate(text string, keep bool, now jobs.Time) (Secrets, error) {
	next := Secrets{{Text: text}}
	if !keep {
		return next, nil
	}
	for _, old := range s {
		switch {
		case old.Until == 0:
			next = append(next, Secret{old.Text, now.Add(overlap)})
		case old.Until > now:
			next = append(next, old)
		}
	}
	if len(next) > mostSecrets {
		return nil, jobs.Errorf(jobs.CodeConflict, "keep_old_secret_active_for_24_hours",
			"%d secrets are live already. Rotate without keeping the old ones, or wait until one of them ends.", mostSecrets)
	}
	return next, nil
}
