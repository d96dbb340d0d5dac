package callbacks

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"time"

	"github.com/ringback/ringback/callbacks/signature"
	"github.com/ringback/ringback/jobs"
)

// Records is what a Service asks of the store.
type Records interface {
	EndpointRecords
	DeliveryRecords

	// Secrets are those that sign a project's callbacks unless a submission or an endpoint has its own, newest first.
	// CodeNotFound for an unknown project.
	Secrets(ctx context.Context, project string) (Secrets, error)
	// RotateSecrets replaces them by what change makes of them, in one transaction.
	RotateSecrets(ctx context.Context, project string, change func(Secrets) (Secrets, error)) (Secrets, error)
	// Keys are all that signs a project's callbacks at a time.
	Keys(ctx context.Context, project string, now jobs.Time) (signature.Keys, error)
}

// ServiceOptions are the parts a Service works with.
type ServiceOptions struct {
	Records Records
	Rules   Rules
	Poster  *Poster    // makes test fires
	Waker   jobs.Waker // told of gates behind which a command has made deliveries due
	// SecretIsSet says that the project's secret stands in the configuration, where alone it can be replaced.
	SecretIsSet bool
	Now         func() time.Time
}

// Service is what clients can do and see of callbacks: the commands, reads and checks behind the API.
type Service struct {
	ServiceOptions
	tests chan struct{} // slots of test fires
}

// mostTests bounds the test fires at the same time: each holds a request and a connection until its receiver answers.
const mostTests = 16

// NewService makes a Service.
func NewService(o ServiceOptions) *Service { return &Service{o, make(chan struct{}, mostTests)} }

func (s *Service) now() jobs.Time { return jobs.At(s.Now()) }

// Parse reads a submission's webhook field by the Service's Rules; see ParseWebhook.
func (s *Service) Parse(raw json.RawMessage) (*jobs.Webhook, error) {
	return ParseWebhook(raw, s.Rules)
}

// Secret is the newest secret of a project.
func (s *Service) Secret(ctx context.Context, project string) (string, error) {
	secrets, err := s.Records.Secrets(ctx, project)
	if err != nil {
		return "", err
	}
	return secrets[0].Text, nil
}

// RotateSecret gives a project a new secret. With keep, the old one goes on signing beside it for 24 hours.
func (s *Service) RotateSecret(ctx context.Context, project string, keep bool) (string, error) {
	if s.SecretIsSet {
		return "", jobs.Errorf(jobs.CodeConflict, "", "The signing secret is set in the configuration (callbacks.signing_secret). "+
			"Replace it there, or leave it empty there to have it kept and rotated here.")
	}
	fresh, now := signature.NewSecret(), s.now()
	_, err := s.Records.RotateSecrets(ctx, project, func(old Secrets) (Secrets, error) { return old.Rotate(fresh, keep, now) })
	return fresh, err
}

// PublicKeys is a project's JSON Web Key Set: what verifies the v1a signatures of its callbacks.
func (s *Service) PublicKeys(ctx context.Context, project string) (json.RawMessage, error) {
	keys, err := s.Records.Keys(ctx, project, s.now())
	if err != nil {
		return nil, err
	}
	if keys.Private == nil {
		return signature.JWKS(), nil
	}
	return signature.JWKS(keys.Private.Public().(ed25519.PublicKey)), nil
}
