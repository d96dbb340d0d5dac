package e2e

import (
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // a fleet's records are read with it
	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/testservers"
)

// mode is how Ringback runs: alone, or as many processes over PostgreSQL, Redis and S3.
type mode string

const (
	embedded mode = "embedded"
	scaled   mode = "fleet"
)

// alone is the name of the only member of the embedded mode.
const alone = "server"

// fleetOptions say of what a fleet consists. The word MEMBER in a setting stands for the member's name.
type fleetOptions struct {
	apis, workers int // at least one of each
	settings      []string
	postgres      *testservers.Postgres // nil: one that all fleets share
	redis         *testservers.Redis    // nil: one of its own
}

// fleet is a Ringback of one process or of many, which a test kills, stops, pauses and starts again.
type fleet struct {
	t            *testing.T
	mode         mode
	*client      // speaks to whichever API is there, at an address that stays
	apis         []*server
	workers      []*server
	dsn          string // of a fleet's database
	front        *httptest.Server
	frontNext    atomic.Int64
	databaseOnce func() *sql.DB
	kills        []kill
	away         atomic.Int64 // APIs that are not ready
	slowest      atomic.Int64 // nanoseconds of the slowest write that a client waited for, see timed
}

// kill is one process's end by kill -9: it worked until some instant between these two.
type kill struct {
	member   string
	from, to time.Time
}

// start runs Ringback in this mode with settings until the test ends.
func (m mode) start(t *testing.T, settings ...string) *fleet {
	t.Helper()
	if m == scaled {
		return startFleet(t, fleetOptions{apis: 1, workers: 3, settings: settings})
	}
	s := newServer(t, alone, named(alone, append(settings, "server.listen="+freeAddress(t)))...)
	f := &fleet{t: t, mode: embedded, apis: []*server{s}}
	f.databaseOnce = sync.OnceValue(func() *sql.DB { return openDatabase(t, s.dir) })
	f.begin()
	return f
}

// startFleet runs one until the test ends, and returns once all of its members are ready.
func startFleet(t *testing.T, o fleetOptions) *fleet {
	t.Helper()
	f := &fleet{t: t, mode: scaled, dsn: newDatabase(t, o.postgres)}
	f.databaseOnce = sync.OnceValue(func() *sql.DB {
		db, err := sql.Open("pgx", f.dsn)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, db.Close()) })
		return db
	})
	if o.redis == nil {
		o.redis = startRedis(t)
	}
	public := freeAddress(t)
	shared := append([]string{
		"store.dsn=" + f.dsn, "queue.redis=" + o.redis.URL(), "secrets.key=" + base64.StdEncoding.EncodeToString(make([]byte, 32)),
		"server.public_url=http://" + public, "simulator.enabled=false",
	}, append(bucket(t), o.settings...)...)
	for i := range o.apis {
		address := public
		if i > 0 {
			address = freeAddress(t)
		}
		f.apis = append(f.apis, member(t, fmt.Sprint("api-", i+1), "api", address, shared))
	}
	for i := range o.workers {
		f.workers = append(f.workers, member(t, fmt.Sprint("worker-", i+1), "worker", freeAddress(t), shared))
	}
	f.begin()
	return f
}

func member(t *testing.T, name, role, address string, shared []string) *server {
	t.Helper()
	return newServer(t, name, named(name, append(shared[:len(shared):len(shared)], "server.roles="+role, "server.listen="+address))...)
}

func named(name string, settings []string) []string {
	all := make([]string, len(settings))
	for i, s := range settings {
		all[i] = strings.ReplaceAll(s, "MEMBER", name)
	}
	return all
}

// begin starts all members, the first one before the others: it migrates the database.
func (f *fleet) begin() {
	f.t.Helper()
	f.client = &client{t: f.t, http: f.apis[0].http, url: "http://" + f.apis[0].address(), checked: &tally{}}
	if len(f.apis) > 1 {
		f.front = httptest.NewServer(http.HandlerFunc(f.pass))
		f.t.Cleanup(f.front.Close)
		f.url = f.front.URL
	}
	f.members()[0].start()
	f.each(f.members()[1:], (*server).start)
}

// pass is a balancer: it sends a request to one API after the other, and says 502 where that one is away.
func (f *fleet) pass(w http.ResponseWriter, r *http.Request) {
	api := f.apis[int(f.frontNext.Add(1))%len(f.apis)]
	onward, err := http.NewRequestWithContext(r.Context(), r.Method, "http://"+api.address()+r.URL.RequestURI(), r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	onward.Header, onward.ContentLength = r.Header, r.ContentLength
	answer, err := f.http.Do(onward)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer answer.Body.Close()
	for name, values := range answer.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.StatusCode)
	if _, err := io.Copy(w, answer.Body); err != nil {
		panic(http.ErrAbortHandler) // the API was killed in mid-answer: so is the answer
	}
}

func (f *fleet) members() []*server {
	return append(f.apis[:len(f.apis):len(f.apis)], f.workers...)
}

// working are the members that call providers and receivers.
func (f *fleet) working() []*server {
	if f.mode == embedded {
		return f.apis
	}
	return f.workers
}

// each does something to members at the same time.
func (f *fleet) each(members []*server, do func(*server)) {
	f.t.Helper()
	var all sync.WaitGroup
	for _, s := range members {
		all.Go(func() { do(s) })
	}
	all.Wait()
	if f.t.Failed() {
		f.t.FailNow() // what failed beside this goroutine could not stop the test
	}
}

// kill9 ends members at the same time, in the middle of whatever they do.
func (f *fleet) kill9(members ...*server) {
	f.t.Helper()
	f.away.Add(f.answering(members))
	from := time.Now()
	f.each(members, (*server).kill9)
	for _, s := range members {
		f.kills = append(f.kills, kill{s.name, from, time.Now()})
	}
}

// restart starts members that were killed, and returns once they are ready.
func (f *fleet) restart(members ...*server) {
	f.t.Helper()
	f.each(members, (*server).restart)
	f.away.Add(-f.answering(members))
}

// answering counts those that take requests.
func (f *fleet) answering(members []*server) (n int64) {
	for _, s := range members {
		if slices.Contains(f.apis, s) {
			n++
		}
	}
	return n
}

// stop ends all members in order; the workers go first.
func (f *fleet) stop() {
	f.t.Helper()
	inOrder := func(s *server) {
		if code, _ := s.stop(); code != 0 {
			f.t.Errorf("the %s ended with code %d", s.name, code)
		}
	}
	f.each(f.workers, inOrder)
	f.each(f.apis, inOrder)
}

// database reads the facts behind the members' backs, also while they run.
func (f *fleet) database() *sql.DB { return f.databaseOnce() }

// count is a query's one number; -1 while the database does not answer.
func (f *fleet) count(query string, args ...any) (n int) {
	if err := f.database().QueryRow(query, args...).Scan(&n); err != nil {
		return -1
	}
	return n
}

// sound wants the database of a stopped Ringback to be whole.
func (f *fleet) sound() {
	f.t.Helper()
	if f.mode == embedded {
		integrity(f.t, f.apis[0].dir)
	}
}

// address is where a member listens in each of its lives.
func (s *server) address() string {
	for _, setting := range s.settings {
		if at, ok := strings.CutPrefix(setting, "server.listen="); ok {
			return at
		}
	}
	s.t.Fatalf("the %s has no address of its own", s.name)
	return ""
}

// nextPort is the first of the ports that this run gives out, each of them once: below those that clients' connections take.
var nextPort = func() *atomic.Int64 {
	var n atomic.Int64
	n.Store(10_000 + rand.Int64N(15_000))
	return &n
}()

// freeAddress is one on which nobody listens, and that stays free when a killed member starts again.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 1000 {
		l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", nextPort.Add(1)))
		if err == nil {
			require.NoError(t, l.Close())
			return l.Addr().String()
		}
	}
	t.Fatal("no port is free")
	return ""
}

// The servers that fleets share, started when the first one asks and stopped by stopShared.
var (
	sharedPostgres = sync.OnceValues(func() (*testservers.Postgres, error) { return testservers.StartPostgres() })
	sharedS3       = sync.OnceValues(testservers.StartS3)
	sharedTaken    struct{ postgres, s3 atomic.Bool }
	prefixes       atomic.Int64
)

// stopShared ends those of the shared servers that somebody asked for.
func stopShared() error {
	var errs []error
	if sharedTaken.postgres.Load() {
		if p, err := sharedPostgres(); err == nil {
			errs = append(errs, p.Stop())
		}
	}
	if sharedTaken.s3.Load() {
		if s, err := sharedS3(); err == nil {
			errs = append(errs, s.Stop())
		}
	}
	return errors.Join(errs...)
}

func newDatabase(t *testing.T, p *testservers.Postgres) (dsn string) {
	t.Helper()
	var err error
	if p == nil {
		sharedTaken.postgres.Store(true)
		p, err = sharedPostgres()
		require.NoError(t, err)
	}
	dsn, err = p.NewDatabase()
	require.NoError(t, err)
	return dsn
}

func startPostgres(t *testing.T, settings ...string) *testservers.Postgres {
	t.Helper()
	p, err := testservers.StartPostgres(settings...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Stop()) })
	return p
}

func startRedis(t *testing.T) *testservers.Redis {
	t.Helper()
	r, err := testservers.StartRedis()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Stop()) })
	return r
}

// bucket is the settings for a place of its own in the shared S3 server.
func bucket(t *testing.T) []string {
	t.Helper()
	sharedTaken.s3.Store(true)
	s, err := sharedS3()
	require.NoError(t, err)
	place := fmt.Sprintf("%s/fleet-%d", testservers.Bucket, prefixes.Add(1))
	return []string{"files.url=" + s.URL(place), "files.access_key=" + s.AccessKey, "files.secret_key=" + s.SecretKey}
}

// inTurn runs subtests one after the other in the long form, each with the machine to itself, and else side by side.
func inTurn(t *testing.T, tests map[string]func(t *testing.T)) {
	t.Helper()
	if !longForm() {
		together(t, tests)
		return
	}
	for name, test := range tests {
		t.Run(name, test)
	}
}

// together runs subtests side by side: they wait more than they work.
func together(t *testing.T, tests map[string]func(t *testing.T)) {
	t.Helper()
	var all sync.WaitGroup
	for name, test := range tests {
		all.Go(func() { t.Run(name, test) })
	}
	all.Wait()
}
