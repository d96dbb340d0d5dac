package simulator

import "net/http"

// accountRoutes adds the calls that do not generate: they count neither as model
// calls nor against the rate limit, and the shares of faults pass over them.
func (s *Simulator) accountRoutes(add func(method, path string, h func(*call))) {
	const get, post, del = http.MethodGet, http.MethodPost, http.MethodDelete
	for _, r := range []struct {
		method, path string
		handle       func(*account, *call) *problem
	}{
		{get, "/v1/models", listModels},
		{get, "/v1/models/{id}", getModel},
		{del, "/v1/models/{id}", deleteModel},

		{post, "/v1/files", s.createFile},
		{get, "/v1/files", listFiles},
		{get, "/v1/files/{id}", getFile},
		{del, "/v1/files/{id}", deleteFile},
		{get, "/v1/files/{id}/content", fileContent},

		{post, "/v1/fine_tuning/jobs", s.createTuning},
		{get, "/v1/fine_tuning/jobs", listTunings},
		{get, "/v1/fine_tuning/jobs/{id}", getTuning},
		{post, "/v1/fine_tuning/jobs/{id}/cancel", moveTuning((*tuning).cancel)},
		{post, "/v1/fine_tuning/jobs/{id}/pause", moveTuning((*tuning).pause)},
		{post, "/v1/fine_tuning/jobs/{id}/resume", moveTuning((*tuning).resume)},
		{get, "/v1/fine_tuning/jobs/{id}/events", tuningEvents},
		{get, "/v1/fine_tuning/jobs/{id}/checkpoints", tuningCheckpoints},

		{post, "/v1/batches", s.createBatch},
		{get, "/v1/batches", listBatches},
		{get, "/v1/batches/{id}", getBatch},
		{post, "/v1/batches/{id}/cancel", cancelBatch},
	} {
		add(r.method, r.path, s.on(r.handle))
	}
}
