package e2e

import (
	"testing"
	"time"

	"github.com/hibiken/asynq"
	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/testservers"
)

// slowSubmit is how much longer a submission may take while Redis is away: it does not wait for it.
const slowSubmit = time.Second

// R9, J2: Redis is wiped every second, dies, hangs. Submissions are answered all the time, nothing is lost and nothing called
// twice, and callbacks go on when it is back.
func redisGoes(t *testing.T) {
	away := 6 * time.Second
	if longForm() {
		away = 10 * time.Second
	}
	redis := startRedis(t)
	o := startOutage(t, fleetOptions{apis: 1, workers: 2, redis: redis}, 3000, 200*time.Millisecond)
	o.begins(40 * time.Millisecond)
	for _, outage := range []struct {
		name string
		do   func()
	}{
		{"wiped every second", func() {
			for deadline := time.Now().Add(away); time.Now().Before(deadline); time.Sleep(time.Second) {
				require.NoError(t, redis.Flush())
			}
		}},
		{"dead", func() {
			require.NoError(t, redis.Kill())
			time.Sleep(away)
			require.NoError(t, redis.Start())
		}},
		{"hanging", func() {
			require.NoError(t, redis.Pause())
			time.Sleep(away)
			require.NoError(t, redis.Resume())
		}},
	} {
		arrived(t, o, 20)
		from := time.Now()
		outage.do()
		back := time.Now()
		arrived(t, o, 20)
		meanwhile := o.heard(from, back.Add(-slowSubmit)) // those have been answered, or were too slow
		took, control := p99(meanwhile)
		t.Logf("Redis %s for %s: %d submissions meanwhile, p99 %s (of looks: %s), answered %v; 20 callbacks came within %s; at most %d calls at once",
			outage.name, back.Sub(from).Round(time.Millisecond), len(meanwhile), took.Round(time.Millisecond), control.Round(time.Millisecond), statuses(meanwhile),
			time.Since(back).Round(time.Millisecond), o.most(from, time.Now()))
		require.NotEmpty(t, meanwhile)
		require.Less(t, took, slowSubmit+control)
		require.Equal(t, map[int]int{202: len(meanwhile)}, statuses(meanwhile))
		require.Less(t, time.Since(back), 15*time.Second, "callbacks go on")
		require.LessOrEqual(t, o.most(from, time.Now()), 2*slots, "the provider's limit holds, but for what was in flight when it was forgotten")
	}
	l := o.end(0)
	l.print(t)
	require.Zero(t, l.callRepeats)
	require.Zero(t, l.repeated)
}

// arrived waits for n more callbacks.
func arrived(t *testing.T, o *outage, n int) {
	t.Helper()
	before := len(o.hook.all())
	eventually(t, "callbacks go on", func() bool { return len(o.hook.all()) >= before+n })
}

// most is how many calls were in flight at once between two instants.
func (o *outage) most(from, to time.Time) (most int) {
	calls := o.up.seen()
	for _, c := range calls {
		if c.at.Before(from) || c.at.After(to) {
			continue
		}
		n := 0
		for _, other := range calls {
			if !other.at.After(c.at) && (other.ended.IsZero() || other.ended.After(c.at)) {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// R20: what is no task, of another version, of another type, or names rows that are not there is counted or passed over, and
// the workers go on.
func malformedTasks(t *testing.T) {
	redis := startRedis(t)
	o := startOutage(t, fleetOptions{apis: 1, workers: 2, redis: redis}, 200, 10*time.Millisecond)
	options, err := asynq.ParseRedisURI(redis.URL())
	require.NoError(t, err)
	tasks := asynq.NewClient(options)
	defer tasks.Close()
	lanes := []string{"batches", "calls", "shards", "deliveries"}
	for _, lane := range lanes {
		for _, payload := range []string{
			"no JSON", `{"v":99,"ids":["default/gen_1"]}`, `{"v":1,"ids":[]}`, `{"v":1,"ids":"default/gen_1"}`, "", // malformed
			`{"v":1,"ids":["default/gen_missing","default/batch_missing:7","nonsense","/","default/"]}`,
		} {
			_, err := tasks.Enqueue(asynq.NewTask("of another type", []byte(payload)), asynq.Queue(lane), asynq.MaxRetry(0))
			require.NoError(t, err)
		}
	}
	garbage(t, redis)
	eventually(t, "they are counted", func() bool { return o.malformed() == float64(5*len(lanes)) })
	o.begins(20 * time.Millisecond)
	arrived(t, o, 20)
	l := o.end(0)
	l.print(t)
	require.EqualValues(t, 5*len(lanes), o.malformed())
	for _, w := range o.f.workers {
		for _, lane := range lanes {
			require.Zero(t, w.scrape().of("ringback_queue_panics_total", "lane", lane))
		}
	}
}

func (o *outage) malformed() (n float64) {
	for _, w := range o.f.workers {
		for _, m := range w.scrape()["ringback_queue_malformed_tasks_total"].GetMetric() {
			n += m.Counter.GetValue()
		}
	}
	return n
}

// garbage puts into a lane what Asynq itself cannot read: an ID without its task, and one whose task is no message.
func garbage(t *testing.T, redis *testservers.Redis) {
	t.Helper()
	o, err := asynq.ParseRedisURI(redis.URL())
	require.NoError(t, err)
	raw := o.(asynq.RedisClientOpt).MakeRedisClient().(goredis.UniversalClient)
	defer raw.Close()
	ctx := t.Context()
	require.NoError(t, raw.HSet(ctx, "asynq:{calls}:t:torn", "msg", "\x00\xffno message", "state", "pending").Err())
	require.NoError(t, raw.LPush(ctx, "asynq:{calls}:pending", "torn", "gone").Err())
}
