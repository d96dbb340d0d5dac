package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// All API processes die while workers are at work: the work ends, and its callbacks go out.
func noAPI(t *testing.T) {
	const generations = 40
	up := startUpstream(t, func(body string) reply {
		return reply{wait: time.Second, body: completion("answer to " + prompt(body))}
	})
	hook := startReceiver(t)
	f := startFleet(t, fleetOptions{apis: 2, workers: 2, settings: append(openCallbacks(), up.provider(whoamI))})
	batch := f.batch(f.input(numbered(100, 0)), hook.field())
	jobs := make([]string, generations)
	for i := range jobs {
		jobs[i] = f.generate("hello", hook.field())
	}
	f.kill9(f.apis...)
	at := time.Now()
	require.Less(t, len(hook.all()), generations, "some are under way")
	for _, job := range jobs {
		hook.wait(job, "generation.completed")
	}
	hook.wait(batch, "batch.completed")
	t.Logf("J2: without an API process %d callbacks came within %s", generations+1, time.Since(at).Round(time.Millisecond))
	f.each(f.apis, (*server).restart)
	require.Equal(t, "completed", f.ended(batch).get("status").String())
	require.Len(t, hook.all(), generations+1)
	require.Equal(t, generations+100, up.count())
	f.call(http.StatusOK, "GET", "/v1/jobs/"+jobs[0], "")
}

// An API process without any worker takes submissions and tells of them; they are done when a worker comes.
func noWorker(t *testing.T) {
	up, hook := startUpstream(t, nil), startReceiver(t)
	f := startFleet(t, fleetOptions{apis: 1, workers: 1, settings: append(openCallbacks(), up.provider(whoamI))})
	code, _ := f.workers[0].stop()
	require.Zero(t, code)
	batch, job := f.batch(f.input(numbered(20, 0)), hook.field()), f.generate("hello", hook.field())
	require.Equal(t, "validating", f.read("/v1/batches/"+batch).get("status").String())
	require.Equal(t, "queued", f.read("/v1/jobs/"+job+"?wait=500ms").get("status").String())
	require.Zero(t, up.count())
	require.Equal(t, "ok", f.read("/readyz").get("status").Str)
	f.workers[0].restart()
	at := time.Now()
	require.Equal(t, "completed", f.ended(batch).get("status").String())
	require.Equal(t, "completed", f.ended(job).get("status").String())
	hook.wait(batch, "batch.completed")
	hook.wait(job, "generation.completed")
	t.Logf("J2: what was accepted without a worker was done %s after one came", time.Since(at).Round(time.Millisecond))
	require.Equal(t, 21, up.count())
}
