package callbacks

import (
	"context"
	"encoding/json"

	"github.com/google/uuid"

	"github.com/ringback/ringback/callbacks/signature"
	"github.com/ringback/ringback/jobs"
)

// EndpointRecords is what a Service asks of the store about endpoints.
type EndpointRecords interface {
	// CreateEndpoint keeps an endpoint and its Idempotency-Key. answer is kept sealed: it holds the secret.
	CreateEndpoint(ctx context.Context, r Registered, idem *jobs.Idempotency, answer []byte) error
	// Endpoint reads one; CodeNotFound when it is unknown or deleted.
	Endpoint(ctx context.Context, ref jobs.Ref) (Registered, error)
	// ChangeEndpoint changes one in the transaction that writes it. One that is not active any more has its gate woken, so
	// that what waits there ends.
	ChangeEndpoint(ctx context.Context, ref jobs.Ref, change func(*Registered) error) (Registered, error)
	// Endpoints reads a page, newest first.
	Endpoints(ctx context.Context, project, after string, limit int) (page []Endpoint, more bool, err error)
}

// CreateEndpoint registers a receiver. It answers the endpoint with its signing secret, which is shown nowhere else.
func (s *Service) CreateEndpoint(ctx context.Context, project string, body json.RawMessage, idem *jobs.Idempotency) ([]byte, error) {
	now, secret := s.now(), signature.NewSecret()
	r := Registered{Endpoint: Endpoint{
		ProjectID: project, ID: uuid.NewString(), IsActive: true, SecretHint: hintOf(secret), CreatedAt: now, ChangedAt: now,
	}, Target: Target{Secrets: Secrets{{Text: secret}}}}
	if err := writeEndpoint(&r, body, s.Rules); err != nil {
		return nil, err
	}
	if err := complete(&r); err != nil {
		return nil, err
	}
	answer := r.Object(secret)
	return answer, s.Records.CreateEndpoint(ctx, r, idem, answer)
}

// Endpoint shows one.
func (s *Service) Endpoint(ctx context.Context, ref jobs.Ref) ([]byte, error) {
	r, err := s.Records.Endpoint(ctx, ref)
	if err != nil {
		return nil, err
	}
	return r.Object(""), nil
}

// Endpoints shows a page, newest first.
func (s *Service) Endpoints(ctx context.Context, project, after string, limit int) (objects [][]byte, more bool, err error) {
	page, more, err := s.Records.Endpoints(ctx, project, after, limit)
	for i := range page {
		objects = append(objects, page[i].Object(""))
	}
	return objects, more, err
}

// UpdateEndpoint changes the fields that the body names. What waits for the endpoint is sent as it stands then.
func (s *Service) UpdateEndpoint(ctx context.Context, ref jobs.Ref, body json.RawMessage) ([]byte, error) {
	return s.change(ctx, ref, "", func(r *Registered) error {
		if err := writeEndpoint(r, body, s.Rules); err != nil {
			return err
		}
		return complete(r)
	})
}

// RotateEndpointSecret gives an endpoint a new secret and shows it. With keep, the old one goes on signing beside it for
// 24 hours.
func (s *Service) RotateEndpointSecret(ctx context.Context, ref jobs.Ref, keep bool) ([]byte, error) {
	secret := signature.NewSecret()
	return s.change(ctx, ref, secret, func(r *Registered) (err error) {
		r.Target.Secrets, err = r.Target.Secrets.Rotate(secret, keep, s.now())
		r.SecretHint = hintOf(secret)
		return err
	})
}

// DeleteEndpoint removes an endpoint. What waits for it is cancelled; what was sent stays on record.
func (s *Service) DeleteEndpoint(ctx context.Context, ref jobs.Ref) error {
	_, err := s.change(ctx, ref, "", func(r *Registered) error {
		r.IsActive, r.DeletedAt = false, s.now()
		r.Target = Target{}
		return nil
	})
	return err
}

func (s *Service) change(ctx context.Context, ref jobs.Ref, secret string, change func(*Registered) error) ([]byte, error) {
	r, err := s.Records.ChangeEndpoint(ctx, ref, func(r *Registered) error {
		r.ChangedAt = s.now()
		return change(r)
	})
	if err != nil {
		return nil, err
	}
	if !r.IsActive {
		s.Waker.Wake(ctx, jobs.LaneDeliveries, r.Ref().String())
	}
	return r.Object(secret), nil
}
