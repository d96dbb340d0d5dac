package store

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/jobs"
)

// cutter stands between a store and its server, and cuts the connection on which the next COMMIT comes.
type cutter struct {
	net.Listener
	server string
	before atomic.Bool // cut before the COMMIT has passed
	after  atomic.Bool // cut between it and its answer
	// undecided cuts the client off before the COMMIT has passed, and has the server learn later what follows: true, and the COMMIT
	// still comes; false, and it learns of the cut.
	undecided atomic.Pointer[chan bool]
	over      chan struct{}
	work      sync.WaitGroup
	mu        sync.Mutex
	conns     []net.Conn
}

// cutBetween gives a DSN that leads through a cutter.
func cutBetween(t *testing.T, dsn string) (*cutter, string) {
	t.Helper()
	u := must(url.Parse(dsn))(t)
	c := &cutter{Listener: must(net.Listen("tcp", "127.0.0.1:0"))(t), server: u.Host, over: make(chan struct{})}
	c.work.Go(c.accept)
	t.Cleanup(func() {
		close(c.over)
		_ = c.Close()
		c.closeAll()
		c.work.Wait()
	})
	u.Host = c.Addr().String()
	return c, u.String()
}

func (c *cutter) accept() {
	for {
		client, err := c.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", c.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		c.mu.Lock()
		c.conns = append(c.conns, client, server)
		c.mu.Unlock()
		answers := &atomic.Bool{} // whether they are kept from the client
		c.work.Go(func() { c.forward(client, server, answers) })
		c.work.Go(func() { c.back(server, client, answers) })
	}
}

func (c *cutter) closeAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		_ = conn.Close()
	}
}

// forward passes what the client says.
func (c *cutter) forward(client, server net.Conn, mute *atomic.Bool) {
	defer client.Close()
	defer server.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := client.Read(buf)
		if bytes.Contains(buf[:n], []byte("COMMIT\x00")) {
			if c.before.CompareAndSwap(true, false) {
				return
			}
			if decided := c.undecided.Swap(nil); decided != nil {
				_ = client.Close()
				select {
				case pass := <-*decided:
					if pass {
						_, _ = server.Write(buf[:n])
						_ = server.(*net.TCPConn).CloseWrite()
						_, _ = io.Copy(io.Discard, server) // until it has done all that it was told
					}
				case <-c.over:
				}
				return
			}
			mute.Store(c.after.CompareAndSwap(true, false))
		}
		if _, failed := server.Write(buf[:n]); err != nil || failed != nil {
			return
		}
	}
}

// back passes what the server answers, or ends with the first answer that it keeps.
func (c *cutter) back(server, client net.Conn, mute *atomic.Bool) {
	defer client.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := server.Read(buf)
		if err != nil || mute.Load() {
			return
		}
		if _, err := client.Write(buf[:n]); err != nil {
			return
		}
	}
}

// TestCommitsWhoseAnswerIsLost are never told as done nor as not done, and may be made again.
func TestCommitsWhoseAnswerIsLost(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		cut    func(*cutter)
		stands int
	}{
		{"it did not arrive", func(c *cutter) { c.before.Store(true) }, 0},
		{"it stood", func(c *cutter) { c.after.Store(true) }, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, dsn := cutBetween(t, newDatabase(t))
			w := worldOver(t, openWith(t, func(o *Options) { o.DSN = dsn }))
			n := jobs.NewJob{Job: newBatch(w.now()), Idempotency: &jobs.Idempotency{Key: "k", Hash: []byte("h")}, Answer: []byte("first")}
			tt.cut(c)
			_, err := w.CreateJob(t.Context(), n)
			require.True(t, jobs.IsCode(err, jobs.CodeUnavailable), "%v", err)
			require.ErrorIs(t, err, errUnknown)
			require.Equal(t, tt.stands, w.count("jobs"))
			_, err = w.CreateJob(t.Context(), n)
			var replay *jobs.Replay
			require.Equal(t, tt.stands == 1, errors.As(err, &replay), "the same request again: %v", err)
			require.Equal(t, 1, w.count("jobs"))
		})
	}
}

// TestClaimsWhoseAnswerIsLost leave nothing in the hands of somebody who does not know of it.
func TestClaimsWhoseAnswerIsLost(t *testing.T) {
	t.Parallel()
	for name, cut := range map[string]func(*cutter){
		"it did not arrive": func(c *cutter) { c.before.Store(true) }, "it stood": func(c *cutter) { c.after.Store(true) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, dsn := cutBetween(t, newDatabase(t))
			w := worldOver(t, openWith(t, func(o *Options) { o.DSN = dsn }))
			call, batch, e := w.planned(), running(t, w.Store), w.endpoint(wants("file.created"))
			w.fire("file.created")
			shard := host(batch.ID + ":0")
			for what, claim := range map[string]func() (int, error){
				"a job": func() (int, error) {
					got, err := w.ClaimJobs(t.Context(), "own", []jobs.Ref{call}, w.now())
					return len(got), err
				},
				"a shard": func() (int, error) {
					got, err := w.ClaimShards(t.Context(), "own", []jobs.Ref{shard}, w.now())
					return len(got), err
				},
				"a delivery": func() (int, error) {
					got, err := w.ClaimDeliveries(t.Context(), "own", behind(e), w.now())
					return len(got), err
				},
			} {
				cut(c)
				n, err := claim()
				require.Error(t, err, what)
				require.Zero(t, n, what)
				w.pass(time.Second)
				if what == "a delivery" {
					require.NotZero(t, w.wakes(e), "its gate is looked at")
				}
				n, err = claim()
				require.NoError(t, err, what)
				require.Equal(t, 1, n, "%s is free", what)
			}
		})
	}
}

// TestClaimsThatAreUndecided are given back when the server knows what became of them, and not before; until then the row is
// claimed by nobody else of this process.
func TestClaimsThatAreUndecided(t *testing.T) {
	t.Parallel()
	for name, stands := range map[string]bool{"then it stands": true, "then it does not": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, dsn := cutBetween(t, newDatabase(t))
			w := worldOver(t, openWith(t, func(o *Options) { o.DSN = dsn }))
			batch := running(t, w.Store)
			shard := []jobs.Ref{host(batch.ID + ":0")}
			decided, told := make(chan bool), make(chan error, 1)
			c.undecided.Store(&decided)
			go func() {
				_, err := w.ClaimShards(t.Context(), "own", shard, w.now())
				told <- err
			}()
			waits := func() bool {
				return w.count("pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") > 0
			}
			require.Eventually(t, waits, 10*time.Second, 2*time.Millisecond, "what gives it back waits for the server")
			require.Empty(t, told)
			require.False(t, w.claiming.begin("shards", []held{{Ref: shard[0], attempt: 1}}))
			decided <- stands
			require.ErrorIs(t, <-told, errUnknown)
			require.Zero(t, w.count("shards WHERE owner <> ''"))
			w.pass(time.Second)
			require.Len(t, must(w.ClaimShards(t.Context(), "own", shard, w.now()))(t), 1)
		})
	}
}

// TestRowsWhoseClaimIsInDoubt are not claimed again by the same process: the claim that is given back would be the second.
func TestRowsWhoseClaimIsInDoubt(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		call, e := w.planned(), w.endpoint(wants("file.created"))
		w.fire("file.created")
		batch := running(t, w.Store)
		shard := host(batch.ID + ":0")
		var delivery jobs.Ref
		require.NoError(t, w.reads.Raw("SELECT project_id, id FROM deliveries").Scan(&delivery).Error)
		for table, row := range map[string]jobs.Ref{"jobs": call, "shards": shard, "deliveries": delivery} {
			claim := func() (n int, err error) {
				switch table {
				case "jobs":
					got, err := w.ClaimJobs(t.Context(), "own", []jobs.Ref{call}, w.now())
					return len(got), err
				case "shards":
					got, err := w.ClaimShards(t.Context(), "own", []jobs.Ref{shard}, w.now())
					return len(got), err
				}
				got, err := w.ClaimDeliveries(t.Context(), "own", behind(e), w.now())
				return len(got), err
			}
			doubtful := []held{{Ref: row, attempt: 1}}
			require.True(t, w.claiming.begin(table, doubtful))
			_, err := claim()
			require.ErrorIs(t, err, errInDoubt)
			require.Zero(t, w.count(table+" WHERE owner <> ''"))
			w.claiming.end(table, doubtful)
			n, err := claim()
			require.NoError(t, err)
			require.Equal(t, 1, n, table)
			require.Empty(t, w.claiming.claims)
		}
	})
}

// cutMoves cuts the connection on which the next move of a job commits.
type cutMoves struct {
	*Store
	cut func()
}

func (c *cutMoves) Move(ctx context.Context, ref jobs.Ref, move func(*jobs.Job) (jobs.Effects, error)) (jobs.Snapshot, jobs.Woken, error) {
	if cut := c.cut; cut != nil {
		c.cut = nil
		cut()
	}
	return c.Store.Move(ctx, ref, move)
}

// TestBytesOfACommitWhoseAnswerIsLost stay: the row that names them may stand.
func TestBytesOfACommitWhoseAnswerIsLost(t *testing.T) {
	t.Parallel()
	for name, cut := range map[string]func(*cutter){
		"it did not arrive": func(c *cutter) { c.before.Store(true) }, "it stood": func(c *cutter) { c.after.Store(true) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, dsn := cutBetween(t, newDatabase(t))
			w := worldOver(t, openWith(t, func(o *Options) { o.DSN = dsn }))
			service, runner := w.atWork()
			batch := running(t, w.Store)
			must(w.RecordLines(t.Context(), []jobs.Line{line(batch, 1, true, "{}"), line(batch, 2, true, "{}"), line(batch, 3, true, "{}"), line(batch, 4, true, "{}")}))(t)
			runner.Store = &cutMoves{w.Store, func() { cut(c) }}
			for range 2 {
				w.pass(10 * time.Second)
				runner.WorkJobs(t.Context(), []string{batch.String()})
			}
			ended := must(w.Job(t.Context(), batch))(t)
			require.Equal(t, jobs.Completed, ended.Status)
			sp := must(service.Spool(t.Context(), strings.NewReader("{}\n{}\n{}\n{}\n")))(t)
			cut(c)
			_, err := service.KeepFile(t.Context(), sp, jobs.NewFile{ProjectID: "default", Filename: "a.txt", Purpose: "user_data"})
			require.ErrorIs(t, err, jobs.ErrUnknown)
			page, _, err := w.Files(t.Context(), jobs.FileQuery{ProjectID: "default", Limit: 10})
			require.NoError(t, err)
			require.Contains(t, []int{1, 2}, len(page))
			for _, f := range page {
				_, content, err := service.FileContent(t.Context(), host(f.ID))
				require.NoError(t, err, f.Filename)
				require.Equal(t, "{}\n{}\n{}\n{}\n", string(must(io.ReadAll(content))(t)))
				require.NoError(t, content.Close())
			}
		})
	}
}

// TestShardsOfACancelledBatchStayAtRest also where the answer to their claim was lost, and the batch cancelled before the
// claim was given back.
func TestShardsOfACancelledBatchStayAtRest(t *testing.T) {
	t.Parallel()
	w := worldOver(t, openPostgresStore(t))
	job := running(t, w.Store)
	claimed := must(w.ClaimShards(t.Context(), "own", []jobs.Ref{host(job.ID + ":0")}, w.now()))(t)
	w.cancel(job)
	w.giveBack(t.Context(), "shards", "own", []held{{Ref: claimed[0].Ref(), attempt: claimed[0].Attempt}})
	require.Zero(t, w.count("shards WHERE due_at > 0 OR wake_at > 0 OR owner <> ''"))
}

// cancel does what a client's cancel does.
func (w *world) cancel(job jobs.Ref) {
	w.t.Helper()
	_, _, err := w.Move(w.t.Context(), job, func(j *jobs.Job) (jobs.Effects, error) {
		j.Status, j.Ending = jobs.Cancelling, jobs.Cancelled
		j.Due(w.now())
		return jobs.Effects{Hush: true}, nil
	})
	require.NoError(w.t, err)
}
