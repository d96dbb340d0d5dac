package web

import (
	"context"
	"slices"

	"github.com/ringback/ringback/jobs"
)

func (m *memory) TuningEvents(_ context.Context, q jobs.PartQuery) ([]jobs.TuningEvent, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := slices.DeleteFunc(slices.Clone(m.log), func(e jobs.TuningEvent) bool { return e.JobID != q.Job.ID })
	slices.Reverse(found)
	return pageOf(found, q.After, q.Limit, func(e jobs.TuningEvent) string { return e.ID })
}

func (m *memory) Checkpoints(_ context.Context, q jobs.PartQuery) ([]jobs.Checkpoint, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := slices.DeleteFunc(slices.Clone(m.checkpoints), func(c jobs.Checkpoint) bool { return c.JobID != q.Job.ID })
	return pageOf(found, q.After, q.Limit, func(c jobs.Checkpoint) string { return c.ID })
}

func (m *memory) Models(_ context.Context, project string) ([]jobs.Model, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(m.models), func(model jobs.Model) bool {
		return model.ProjectID != project || model.DeletedAt > 0
	}), m.fail
}

func (m *memory) DeleteModel(_ context.Context, ref jobs.Ref, now jobs.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.models {
		if m.models[i].ID == ref.ID && m.models[i].ProjectID == ref.ProjectID {
			m.models[i].DeletedAt = now
		}
	}
	return m.fail
}
