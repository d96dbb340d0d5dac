package store

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

// before runs something once, in the middle of a transaction on PostgreSQL: before its next statement that begins so.
func (w *world) before(statement string, do func()) {
	w.t.Helper()
	once := sync.OnceFunc(do)
	require.NoError(w.t, w.reads.Callback().Raw().Before("gorm:raw").Register("before "+statement, func(tx *gorm.DB) {
		if strings.HasPrefix(tx.Statement.SQL.String(), statement) {
			once()
		}
	}))
}

// meanwhile begins something and waits until it is done, or waits for a lock that the transaction in hand has.
func (w *world) meanwhile(do func()) (done chan struct{}) {
	w.t.Helper()
	done = make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	require.Eventually(w.t, func() bool {
		return stopped(done) || w.count("pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") > 0
	}, 10*time.Second, 2*time.Millisecond)
	return done
}

// again are the ways in which something is sent again to an endpoint: all that there is, or the one event with its delivery.
// Each tells how many it says that it has made due.
var again = map[string]func(w *world, to jobs.Ref, event string, delivery jobs.Ref) (int, error){
	"a delivery": func(w *world, _ jobs.Ref, _ string, delivery jobs.Ref) (int, error) {
		_, err := w.calls.RetryDelivery(context.Background(), delivery)
		return 1, err
	},
	"all deliveries": func(w *world, to jobs.Ref, _ string, _ jobs.Ref) (int, error) {
		return w.calls.RetryDeliveries(context.Background(), callbacks.DeliveryFilter{ProjectID: "default", EndpointID: to.ID})
	},
	"all events": func(w *world, to jobs.Ref, _ string, _ jobs.Ref) (int, error) {
		return w.calls.ReplaySince(context.Background(), to, callbacks.ReplayQuery{})
	},
	"an event": func(w *world, to jobs.Ref, event string, _ jobs.Ref) (int, error) {
		_, err := w.calls.Replay(context.Background(), to, event)
		return 1, err
	},
}

// failed is an endpoint with one delivery that has failed.
func (w *world) failed() (to jobs.Ref, event string, delivery jobs.Ref) {
	w.t.Helper()
	to = w.endpoint(wants("file.created"))
	event = w.fire("file.created")
	c := w.claimOne(to)
	w.end(c, callbacks.Failed)
	return to, event, c.Ref()
}

// TestNothingIsSentAgainWithoutItsEvent: the janitor comes to an event while it is sent again, before and after; either the
// event stays or nothing waits for it.
func TestNothingIsSentAgainWithoutItsEvent(t *testing.T) {
	t.Parallel()
	const orphans = "deliveries d WHERE state = 'waiting' AND NOT EXISTS (SELECT 1 FROM events e WHERE e.id = d.event_id)"
	for name, send := range again {
		t.Run(name+", then the janitor", func(t *testing.T) {
			t.Parallel()
			d := depotOver(t, worldOver(t, openPostgresStore(t)))
			to, event, delivery := d.failed()
			d.pass(2 * day)
			var cleaned chan struct{}
			d.before("INSERT INTO wakes", func() {
				cleaned = d.meanwhile(func() { d.purge(Periods{Events: day}) })
			})
			require.Equal(t, 1, must(send(d.world, to, event, delivery))(t))
			<-cleaned
			require.Zero(t, d.count(orphans))
			require.Equal(t, 1, d.count("deliveries WHERE state = 'waiting'"))
		})
		t.Run("the janitor, then "+name, func(t *testing.T) {
			t.Parallel()
			d := depotOver(t, worldOver(t, openPostgresStore(t)))
			to, event, delivery := d.failed()
			d.pass(2 * day)
			must(d.LastEvent(t.Context(), "default"))(t)
			var sent chan struct{}
			d.do(func(tx *gorm.DB) error {
				n, err := dropEvents(tx, "default", []oldEvent{{ID: event, Position: 1}})
				require.Equal(t, 1, n)
				sent = d.meanwhile(func() { _, _ = send(d.world, to, event, delivery) })
				return err
			})
			<-sent
			require.Zero(t, d.count(orphans))
			require.Zero(t, d.count("events WHERE id = ?", event))
		})
	}
}

// TestWhatIsSaidToBeSentAgainIs, also where a worker comes to it at that moment: it is left to the worker, and not counted,
// or the worker leaves it.
func TestWhatIsSaidToBeSentAgainIs(t *testing.T) {
	t.Parallel()
	for name, send := range again {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := worldOver(t, openPostgresStore(t))
			to, event, delivery := w.failed()
			w.exec("UPDATE deliveries SET state = 'waiting', due_at = ?, ended_at = 0", w.now())
			w.before("UPDATE deliveries SET tries", func() { w.claim(to) })
			n, err := send(w, to, event, delivery)
			if err != nil {
				require.True(t, jobs.IsCode(err, jobs.CodeConflict), "%v", err)
				n = 0
			}
			require.Equal(t, n, w.count("deliveries WHERE state = 'waiting' AND manual"))
		})
	}
}

// TestEndpointsAreBoundedForThoseWhoComeAtOnce too.
func TestEndpointsAreBoundedForThoseWhoComeAtOnce(t *testing.T) {
	t.Parallel()
	f := fleet(t)
	const left = 3
	require.Empty(t, together(f[:1], mostEndpoints-left, func(w *world, _ string) error {
		w.endpoint()
		return nil
	}))
	refused := together(f, 10, func(w *world, _ string) error {
		_, err := w.calls.CreateEndpoint(t.Context(), "default", []byte(`{"url":"https://example.com/","event_types":["*"]}`), nil)
		return err
	})
	require.Len(t, refused, 20-left)
	for _, err := range refused {
		require.True(t, jobs.IsCode(err, jobs.CodeConflict), "%v", err)
	}
	require.Equal(t, mostEndpoints, f[0].count("endpoints"))
}

// TestReadersOfEventsDoNotWaitForThoseToCome: where more is written for as long as somebody numbers what there is, he ends
// nevertheless.
func TestReadersOfEventsDoNotWaitForThoseToCome(t *testing.T) {
	t.Parallel()
	w := worldOver(t, openWith(t, func(o *Options) { o.DSN = ownDatabase(t) }))
	w.exec(`CREATE FUNCTION more() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		INSERT INTO events (project_id, id, type, job_id, model, sequence, created_at, trace, body)
			VALUES ('default', gen_random_uuid()::text, 't', '', '', 1, 1, '', '{}');
		RETURN NULL;
	END $$`)
	w.exec("CREATE TRIGGER more AFTER UPDATE ON events FOR EACH STATEMENT EXECUTE FUNCTION more()")
	w.fire("file.created")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	page, _, err := w.Events(ctx, "default", "", 10)
	require.NoError(t, err)
	require.Len(t, page, 1)
	// Many more than a slice holds are all numbered.
	w.exec("DROP TRIGGER more ON events")
	w.exec(`INSERT INTO events (project_id, id, type, job_id, model, sequence, created_at, trace, body)
		SELECT 'default', 'many_' || n, 't', '', '', 1, 1, '', '{}' FROM generate_series(1, 2500) AS n`)
	must(w.LastEvent(t.Context(), "default"))(t)
	require.Zero(t, w.count("events WHERE position = 0"))
}

// TestAClaimWaitsForABatchsOutcomes, which hold its row at each flush: left alone it would wait for the sweeper instead. A call
// that another one claims at the same moment is left to it.
func TestAClaimWaitsForABatchsOutcomes(t *testing.T) {
	t.Parallel()
	d := depotOver(t, worldOver(t, openPostgresStore(t)))
	for kind, waits := range map[jobs.Kind]bool{jobs.KindBatch: true, jobs.KindGeneration: false} {
		j := jobs.Job{ProjectID: "default", ID: jobs.NewID("job_"), Kind: kind, Status: jobs.InProgress, Priority: jobs.PriorityNormal}
		j.Due(d.now())
		d.do(func(tx *gorm.DB) error { return tx.Create(&j).Error })
		var claimed []jobs.Job
		var err error
		var done chan struct{}
		d.do(func(tx *gorm.DB) error {
			_, holding := takeJob(locked(tx), j.Ref())
			done = d.meanwhile(func() { claimed, err = d.ClaimJobs(context.Background(), "own", []jobs.Ref{j.Ref()}, d.now()) })
			require.Equal(t, !waits, stopped(done), kind)
			return holding
		})
		<-done
		require.NoError(t, err)
		require.Equal(t, waits, len(claimed) == 1, kind)
	}
}

// switchTo switches an endpoint on or off.
func (w *world) switchTo(to jobs.Ref, on bool) error {
	_, err := w.ChangeEndpoint(context.Background(), to, func(r *callbacks.Registered) error {
		r.IsActive = on
		return nil
	})
	return err
}

// TestAnEndpointIsSwitchedWhileItsGateIsClaimed. Off: what waits there is looked at again, to end. On: what comes from then on
// is not ended by a claim that has seen it off.
func TestAnEndpointIsSwitchedWhileItsGateIsClaimed(t *testing.T) {
	t.Parallel()
	t.Run("off", func(t *testing.T) {
		t.Parallel()
		d := depotOver(t, worldOver(t, openPostgresStore(t)))
		e := d.endpoint(wants("file.created"))
		d.fire("file.created")
		d.exec("UPDATE deliveries SET due_at = ?", d.now().Add(8*time.Hour))
		var switched atomic.Bool
		var err error
		require.NoError(t, d.reads.Callback().Query().After("gorm:query").Register("switch it off", func(tx *gorm.DB) {
			if tx.Statement.Table == "endpoints" && !switched.Swap(true) {
				err = d.switchTo(e, false)
			}
		}))
		require.Empty(t, d.claim(e))
		require.True(t, switched.Load())
		require.NoError(t, err)
		require.Equal(t, d.now(), d.wakes(e))
	})
	t.Run("on", func(t *testing.T) {
		t.Parallel()
		d := depotOver(t, worldOver(t, openPostgresStore(t)))
		e := d.endpoint(wants("file.created"))
		d.fire("file.created")
		require.NoError(t, d.switchTo(e, false))
		var done chan struct{}
		var err error
		d.before("UPDATE deliveries SET state = 'cancelled'", func() {
			done = d.meanwhile(func() { err = d.switchTo(e, true) })
			require.False(t, stopped(done), "it is not on before what waits has ended")
		})
		require.Empty(t, d.claim(e))
		<-done
		require.NoError(t, err)
		d.fire("file.created")
		require.Len(t, d.claim(e), 1)
		require.Equal(t, 1, d.count("deliveries WHERE state = 'cancelled'"))
	})
}

// TestAFileStaysForTheJobThatIsJustCreated, also where its time is over at that moment.
func TestAFileStaysForTheJobThatIsJustCreated(t *testing.T) {
	t.Parallel()
	d := depotOver(t, worldOver(t, openPostgresStore(t)))
	f := jobs.File{ProjectID: "default", ID: "file-old", Purpose: jobs.PurposeBatch, Blob: "in/old", CreatedAt: d.now()}
	require.NoError(t, d.CreateFile(t.Context(), f, nil))
	d.pass(2 * day)
	var purged chan struct{}
	d.do(func(tx *gorm.DB) error {
		j := newBatch(d.now())
		j.InputFileID = f.ID
		if err := standing(tx).Where("id = ?", f.ID).Take(&jobs.File{}).Error; err != nil {
			return err
		}
		if err := tx.Create(&j).Error; err != nil {
			return err
		}
		purged = d.meanwhile(func() { d.purge(Periods{Files: day}) })
		return nil
	})
	<-purged
	require.Equal(t, 1, d.count("files WHERE deleted_at = 0"))
}

// TestABusyGateKeepsNoneFromItsTurn: one has thousands of wakes that have been due longest.
func TestABusyGateKeepsNoneFromItsTurn(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		w.oneOff("quiet.example.com")
		w.exec(`INSERT INTO wakes (project_id, gate, wake_at) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
			SELECT 'default', 'busy.example.com', CAST(? AS BIGINT) - 20000 + i FROM n`, begun)
		require.Contains(t, must(w.DueGates(t.Context(), 64))(t), "default/quiet.example.com")
		require.Less(t, w.count("wakes"), 5)
	})
}
