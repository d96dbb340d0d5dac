package queue

import (
	"context"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/stretchr/testify/require"
)

// R20: a task that is no task, of another version or of no rows costs a log line; SQL holds what there is to do.
func TestMalformedTasksAreDropped(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, url string) {
		t.Parallel()
		work, tasks := collect()
		q, _ := runQueue(t, Options{Redis: url, Lanes: []Lane{{Name: "jobs", Work: work}}})
		for _, body := range []string{"not json", `{"v":2,"ids":["job_0"]}`, `{"v":1,"ids":[]}`} {
			_, err := q.tasks.Enqueue(asynq.NewTask("anything", []byte(body)), asynq.Queue("jobs"))
			require.NoError(t, err)
		}
		q.Wake(t.Context(), "jobs", "job_1")
		require.Equal(t, []string{"job_1"}, receive(t, tasks))
		require.EqualValues(t, 3, q.Stats("jobs").Malformed)
		require.Zero(t, q.Stats("jobs").Panics)
	})
}

func TestPanicEndsOneTaskOnly(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, url string) {
		t.Parallel()
		done := make(chan string, 1)
		work := func(_ context.Context, ids []string) {
			if ids[0] == "bad" {
				panic("as the test wants")
			}
			done <- ids[0]
		}
		q, _ := runQueue(t, Options{Redis: url, Lanes: []Lane{{Name: "jobs", Work: work}}})
		q.Wake(t.Context(), "jobs", "bad", "good")
		require.Equal(t, "good", receive(t, done))
		require.EqualValues(t, 1, q.Stats("jobs").Panics)
		require.Zero(t, q.Stats("jobs").Malformed)
	})
}

func TestSlowLaneHoldsNoOther(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, url string) {
		t.Parallel()
		busy := make(chan struct{}, 100)
		slow := func(ctx context.Context, _ []string) {
			busy <- struct{}{}
			<-ctx.Done()
		}
		work, tasks := collect()
		q, _ := runQueue(t, Options{Redis: url, Lanes: []Lane{
			{Name: "shards", Workers: 2, Work: slow},
			{Name: "deliveries", Workers: 2, Work: work},
		}})
		for range 20 {
			q.Wake(t.Context(), "shards", "shard_1")
		}
		receive(t, busy)
		receive(t, busy)
		for range 20 {
			q.Wake(t.Context(), "deliveries", "dlv_1")
			require.Equal(t, []string{"dlv_1"}, receive(t, tasks))
		}
		require.Empty(t, busy, "a third handler on a lane of two workers")
	})
}

// Asynq ends a task's context when it could not renew the lease, and then takes the next task: neither may reach Work.
func TestWorkOutlivesAsynqsContext(t *testing.T) {
	t.Parallel()
	running, release := make(chan context.Context), make(chan struct{})
	work := func(ctx context.Context, _ []string) {
		running <- ctx
		<-release
	}
	q := openQueue(t, Options{Lanes: []Lane{{Name: "jobs", Work: work}}})
	ours, end := context.WithCancel(t.Context())
	handle := q.lanes["jobs"].handler(ours)
	lost, cancel := context.WithCancel(t.Context())
	cancel()

	returned := make(chan error, 2)
	task := asynq.NewTask(taskType, encode([]string{"job_1"}))
	go func() { returned <- handle(lost, task) }()
	require.NoError(t, receive(t, running).Err())
	go func() { returned <- handle(t.Context(), task) }()
	select {
	case <-running:
		t.Fatal("a second Work on a lane of one worker")
	case <-time.After(20 * time.Millisecond):
	}
	end()
	require.NoError(t, receive(t, returned), "the one that waited gives up at the end")
	close(release)
	require.NoError(t, receive(t, returned))
}

func TestPayload(t *testing.T) {
	t.Parallel()
	ids, err := decode(encode([]string{"job_1", "job_2"}))
	require.NoError(t, err)
	require.Equal(t, []string{"job_1", "job_2"}, ids)
	require.JSONEq(t, `{"v":1,"ids":["job_1"]}`, string(encode([]string{"job_1"})))
	for _, bad := range []string{"", "[]", `{"v":2,"ids":["x"]}`, `{"v":1}`, `{"ids":["x"]}`, `{"v":1,"ids":"x"}`} {
		_, err := decode([]byte(bad))
		require.Error(t, err, bad)
	}
}
