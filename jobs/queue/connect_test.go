package queue

import (
	"path/filepath"
	"testing"
)

func TestRedisBehindASocket(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "s")
	startRedis(t, "--unixsocket", socket)
	work, tasks := collect()
	q, _ := runQueue(t, Options{Redis: "unix://" + socket, Lanes: []Lane{{Name: "jobs", Work: work}}})
	q.Wake(t.Context(), "jobs", "job_1")
	receive(t, tasks)
}
