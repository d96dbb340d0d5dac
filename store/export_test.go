package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/history"
	"github.com/ringback/ringback/jobs"
)

var moveKey = bytes.Repeat([]byte{7}, 32)

// openAt opens a store of its own, on SQLite for an empty dsn, with the files beside it.
func openAt(t *testing.T, dir, dsn string, key []byte) (*Store, *Folder) {
	t.Helper()
	s, err := Open(t.Context(), Options{Dir: dir, DSN: dsn, Key: key, ShardsAwake: 2, Connections: 5, Events: jobs.EventLimits{Bytes: 1 << 18}, Now: time.Now})
	require.NoError(t, err)
	files, err := OpenFolder(filepath.Join(dir, FilesDir))
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = s.Close() // a test may have
		require.NoError(t, files.Close())
	})
	return s, files
}

func newDSN(t *testing.T) string {
	t.Helper()
	return must(must(shared.start())(t).NewDatabase())(t)
}

func exported(t *testing.T, s *Store, files Files) []byte {
	t.Helper()
	var out bytes.Buffer
	_, err := Export(t.Context(), ExportOptions{Options: s.options, Files: files, Project: "default", Compression: Zstd, Version: "t"}, &out)
	require.NoError(t, err)
	return out.Bytes()
}

func imported(t *testing.T, s *Store, files Files, from []byte) Imported {
	t.Helper()
	done, err := importInto(t.Context(), s, ImportOptions{Files: files}, bytes.NewReader(from))
	require.NoError(t, err)
	return done
}

// importInto is Import over a store that is open.
func importInto(ctx context.Context, s *Store, o ImportOptions, from io.Reader) (Imported, error) {
	if o.Told == nil {
		o.Told = func(Progress) {}
	}
	a, err := openArchive(from, kindProject, o.Told)
	if err != nil {
		return Imported{}, err
	}
	defer a.end()
	return s.take(ctx, o, a)
}

// reader opens what an export reads.
func reader(t *testing.T, s *Store) (*sql.DB, *side) {
	t.Helper()
	db, side, err := s.options.openAlone()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db, side
}

// fill puts rows into every table that moves, so that a new table is among them; of each kind of value the odd ones too.
func fill(t *testing.T, s *Store, files Files, n int) {
	t.Helper()
	db, side := reader(t, s)
	there, _ := openAt(t, t.TempDir(), newDSN(t), moveKey)
	thereDB, _ := reader(t, there)
	kinds := must(postgresSide.tables(t.Context(), thereDB))(t) // SQLite knows no booleans
	tables := must(side.tables(t.Context(), db))(t)
	for _, table := range slices.Sorted(maps.Keys(tables)) {
		if table == projectsTable {
			continue
		}
		columns := tables[table]
		for i, c := range columns {
			columns[i].Kind = kinds[table][kinds[table].index(c.Name)].Kind
		}
		for i := range n {
			row := make([]any, len(columns))
			for c, col := range columns {
				row[c] = odd(table, col, i)
				if key, ok := row[c].(string); ok && col.Name == "blob" {
					must(files.Put(t.Context(), key, strings.NewReader("bytes of "+key)))(t)
				}
			}
			marks := "(?" + strings.Repeat(", ?", len(columns)-1) + ")"
			require.NoError(t, s.writer.write(t.Context(), func(tx *gorm.DB) error {
				return exec(tx, "INSERT INTO "+table+" ("+columns.names()+") VALUES "+marks, row...)
			}), table)
		}
	}
}

var nullable = []string{"webhook_ids", "tuning", "retries", "metadata", "result", "snippet", "part_ids"}

func odd(table string, c column, i int) any {
	switch {
	case c.Name == "project_id":
		return "default"
	case slices.Contains(nullable, c.Name) && i%3 == 0:
		return nil
	case c.Name == "blob":
		return fmt.Sprintf("in/%s-%03d", table, i)
	case table == eventsTable && c.Name == positionColumn:
		return int64(1000 - 3*i) // not in the order of writing
	case c.Name == "bytes" && c.Kind == "integer":
		return int64(len(fmt.Sprintf("bytes of in/%s-%03d", table, i)))
	case c.Name == "deleted_at":
		return int64(0)
	case c.Kind == "text":
		return fmt.Sprintf("%s-%03d \"<&>\u2028\r\n\U0001F600", c.Name, i)
	case c.Kind == "bytes":
		return []byte(fmt.Sprintf("\x00\xff%s-%d", c.Name, i)[:2+i%5])
	case c.Kind == "boolean":
		return i%2 == 0
	case c.Name == "line", c.Name == "n", c.Name == "step":
		return int64(i)
	case i%2 == 0:
		return int64(math.MaxInt64) - int64(i)
	}
	return int64(i)
}

// rowsOf are all rows of a project in their order, as texts that both databases write alike.
func rowsOf(t *testing.T, s *Store) map[string][]string {
	t.Helper()
	if s.Shared() {
		require.NoError(t, s.number(t.Context()))
	}
	db, side := reader(t, s)
	all := map[string][]string{}
	for table, columns := range must(side.tables(t.Context(), db))(t) {
		order := must(side.order(t.Context(), db, table))(t)
		rows := must(db.QueryContext(t.Context(), "SELECT "+columns.names()+" FROM "+table+" ORDER BY "+order))(t)
		for rows.Next() {
			values, places := make([]any, len(columns)), make([]any, len(columns))
			for i := range values {
				places[i] = &values[i]
			}
			require.NoError(t, rows.Scan(places...))
			all[table] = append(all[table], shown(columns, values))
		}
		require.NoError(t, rows.Err())
		if _, ordered := postgresSide.orders[table]; !ordered {
			slices.Sort(all[table])
		}
	}
	return all
}

func shown(columns shape, values []any) string {
	texts := make([]string, len(columns))
	for i, v := range values {
		switch v := v.(type) {
		case []byte:
			texts[i] = columns[i].Name + "=" + hex.EncodeToString(v)
		case bool:
			texts[i] = columns[i].Name + "=" + map[bool]string{true: "1", false: "0"}[v]
		default:
			texts[i] = fmt.Sprintf("%s=%v", columns[i].Name, v)
		}
	}
	slices.Sort(texts) // columns stand in another order where one was added later
	return strings.Join(texts, "\n")
}

func equalRows(t *testing.T, want, got map[string][]string) {
	t.Helper()
	require.Equal(t, slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got)))
	for table := range want {
		require.Len(t, got[table], len(want[table]), table)
		for i, row := range want[table] {
			require.Equal(t, row, got[table][i], table)
		}
	}
}

// TestMovesAllRows there and back: SQLite, PostgreSQL, SQLite.
func TestMovesAllRows(t *testing.T) {
	t.Parallel()
	from, files := openAt(t, t.TempDir(), "", moveKey)
	fill(t, from, files, 25)
	want := rowsOf(t, from)
	for table, rows := range want {
		require.NotEmpty(t, rows, table)
	}
	positions := want[eventsTable]
	require.Len(t, positions, 25)

	there, thereFiles := openAt(t, t.TempDir(), newDSN(t), moveKey)
	for _, s := range []*Store{from, there} { // which neither moves nor is in the way
		require.NoError(t, s.KeepHistory(t.Context(), []history.Row{{ProjectID: "default", Series: history.CallsOK, About: "up", N: 1}}))
	}
	done := imported(t, there, thereFiles, exported(t, from, files))
	require.EqualValues(t, 50, done.Files, "of files and of parts")
	require.EqualValues(t, 25, done.Jobs)
	require.Zero(t, done.Mended)
	equalRows(t, want, rowsOf(t, there))
	archive := exported(t, there, thereFiles)
	require.Equal(t, 1, worldOver(t, there).count("history"))
	require.Greater(t, must(next(t, there))(t), int64(1000), "what comes is after what was there")

	back, backFiles := openAt(t, t.TempDir(), "", moveKey)
	imported(t, back, backFiles, archive)
	equalRows(t, want, rowsOf(t, back))
	for _, key := range []string{"in/files-003", "in/upload_parts-024"} {
		r := must(backFiles.Open(t.Context(), key, 0))(t)
		require.Equal(t, "bytes of "+key, string(must(io.ReadAll(r))(t)))
		require.NoError(t, r.Close())
	}
}

// next writes an event, and gives its position.
func next(t *testing.T, s *Store) (int64, error) {
	t.Helper()
	fact := jobs.Fact{ProjectID: "default", Type: "x.y", SubjectID: "thing", Sequence: 1, Scope: jobs.ScopeKey, Object: []byte(`{}`), At: s.now()}
	e := fact.Event()
	require.NoError(t, s.write(t.Context(), func(tx *gorm.DB) error {
		_, err := s.recordEvent(tx, &e, callbacks.Receivers{})
		return err
	}))
	return s.LastEvent(t.Context(), "default")
}

// TestBothSchemasAreOne: a move needs the same tables and columns on both sides, and each table either moves or is one that
// belongs to no project.
func TestBothSchemasAreOne(t *testing.T) {
	t.Parallel()
	lite, _ := openAt(t, t.TempDir(), "", moveKey)
	post, _ := openAt(t, t.TempDir(), newDSN(t), moveKey)
	liteDB, _ := reader(t, lite)
	postDB, _ := reader(t, post)
	here, there := must(sqliteSide.tables(t.Context(), liteDB))(t), must(postgresSide.tables(t.Context(), postDB))(t)
	require.Equal(t, slices.Sorted(maps.Keys(here)), slices.Sorted(maps.Keys(there)))
	for table := range here {
		require.Equal(t, here[table].sorted(), there[table].sorted(), table)
		for _, c := range append(here[table], there[table]...) {
			require.NotEmpty(t, c.Kind, "%s.%s has a type that export.go does not know", table, c.Name)
		}
	}
	for _, test := range []struct {
		db    *sql.DB
		query string
		moves map[string]shape
	}{
		{liteDB, "SELECT name FROM sqlite_master WHERE type = 'table'", here},
		{postDB, "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'", there},
	} {
		rows := must(test.db.QueryContext(t.Context(), test.query))(t)
		for rows.Next() {
			var table string
			require.NoError(t, rows.Scan(&table))
			if _, moves := test.moves[table]; !moves {
				require.Contains(t, belongsToNobody, table, "a table without a project_id does not move: give it one, or name it here")
			}
		}
		require.NoError(t, rows.Err())
		require.NoError(t, rows.Close())
	}
}

var belongsToNobody = []string{"goose_db_version", "sqlite_sequence", "owners", "leases", "history", "job_history"} // or stays

// work has an endpoint with a backlog, one-offs, a delivery in hand, a batch with answers, and keys.
func work(t *testing.T, s *Store) (*world, jobs.Ref) {
	t.Helper()
	w := worldOver(t, s)
	w.clock.Store(time.Now().UnixMilli())
	to := w.endpoint()
	batch := w.oneOff("one.example.com")
	w.do(func(tx *gorm.DB) error {
		return s.useKeySealed(tx, "default", &jobs.Idempotency{Key: "k", Hash: []byte{1}}, []byte("a secret"))
	})
	for i := range 30 {
		w.exec("INSERT INTO lines (project_id, job_id, line, ok, text) VALUES ('default', ?, ?, ?, ?)", batch.ID, (i*7)%30, i%4 > 0, fmt.Appendf(nil, "line %d", i))
		w.fire("x.y")
	}
	require.Len(t, w.claim(host("one.example.com")), 1, "in hand, of an owner that ends here")
	return w, to
}

// TestWorkGoesOnAfterAMove, both ways and with another key: what was in hand is free, secrets open, orders stand.
func TestWorkGoesOnAfterAMove(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		from, to string
		oldKey   []byte
	}{
		{name: "to PostgreSQL", to: newDSN(t)},
		{name: "to SQLite", from: newDSN(t)},
		{name: "with another key", oldKey: bytes.Repeat([]byte{9}, 32)},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			key := moveKey
			if test.oldKey != nil {
				key = test.oldKey
			}
			source, files := openAt(t, t.TempDir(), test.from, key)
			before, endpoint := work(t, source)
			archive := exported(t, source, files)
			target, targetFiles := openAt(t, t.TempDir(), test.to, moveKey)
			done, err := importInto(t.Context(), target, ImportOptions{Files: targetFiles, OldKey: test.oldKey}, bytes.NewReader(archive))
			require.NoError(t, err)
			require.NotZero(t, done.Rows)

			after := worldOver(t, target)
			after.clock.Store(before.clock.Load())
			want, _, err := source.Jobs(t.Context(), jobs.JobQuery{ProjectID: "default", Limit: 9})
			require.NoError(t, err)
			got, _, err := target.Jobs(t.Context(), jobs.JobQuery{ProjectID: "default", Limit: 9})
			require.NoError(t, err)
			require.Equal(t, want, got)
			batch := want[0].Ref()
			for _, at := range []int{0, 12} {
				query := jobs.ResultQuery{Job: batch, Skip: int64(at)}
				want, _, err := source.Results(t.Context(), query)
				require.NoError(t, err)
				got, _, err := target.Results(t.Context(), query)
				require.NoError(t, err)
				require.Equal(t, want, got, "in the order in which they were kept")
				require.Len(t, got, 30-at)
			}
			wantEvents, _, err := source.Events(t.Context(), "default", "", 100)
			require.NoError(t, err)
			gotEvents, _, err := target.Events(t.Context(), "default", "", 100)
			require.NoError(t, err)
			require.Len(t, gotEvents, len(wantEvents))
			for i := range wantEvents {
				require.Equal(t, wantEvents[i].ID, gotEvents[i].ID)
				require.Equal(t, wantEvents[i].Body, gotEvents[i].Body)
			}
			last := gotEvents[len(gotEvents)-1].Position
			require.Greater(t, must(next(t, target))(t), last)

			if target.Shared() {
				must(target.Beat(t.Context(), "own_new"))(t)
				require.True(t, must(target.TakeOver(t.Context(), "own_new"))(t))
			} else {
				require.NoError(t, target.FreeOthers(t.Context(), "own_new"))
			}
			held := after.claimOne(host("one.example.com"))
			require.NoError(t, held.Broken)
			require.Equal(t, "https://one.example.com/hook?k=v", held.Receiver.URL)
			require.Equal(t, 1, held.Recorded, "the attempt that was interrupted")
			owed := after.claim(endpoint)
			require.NotEmpty(t, owed)
			require.NoError(t, owed[0].Broken)
			require.Zero(t, after.record(after.answered(held, 200), after.answered(owed[0], 200)))
			var replay *jobs.Replay
			require.ErrorAs(t, target.Replayed(t.Context(), "default", &jobs.Idempotency{Key: "k", Hash: []byte{1}}), &replay)
			require.Equal(t, "a secret", string(replay.Answer))
			require.Equal(t, must(source.Keys(t.Context(), "default", before.now()))(t), must(target.Keys(t.Context(), "default", after.now()))(t))
		})
	}
}

func TestImportRefuses(t *testing.T) {
	t.Parallel()
	source, files := openAt(t, t.TempDir(), "", moveKey)
	work(t, source)
	archive := exported(t, source, files)
	for _, test := range []struct {
		name    string
		key     []byte
		old     []byte
		prepare func(*Store)
		archive []byte
		want    string
	}{
		{name: "another key", key: bytes.Repeat([]byte{1}, 32), want: "base64 < data/master.key"},
		{name: "a wrong old key", key: bytes.Repeat([]byte{1}, 32), old: bytes.Repeat([]byte{2}, 32), want: "the old key that was given"},
		{name: "a project that is not empty", prepare: func(s *Store) { must(next(t, s))(t) }, want: `not empty here (there is something in its events)`},
		{name: "an archive that was cut off", archive: archive[:len(archive)*9/10], want: "not complete"},
		{name: "rows of another project", archive: rewritten(t, archive, kindProject, func(_ string, content []byte) []byte {
			return bytes.Replace(content, []byte(`"project_id":"default"`), []byte(`"project_id":"others"`), 1)
		}), want: "belongs to another project"},
		{name: "a backup", archive: backedUp(t, source.options.Dir, Uncompressed), want: "ringback restore"},
		{name: "something else", archive: []byte("hello"), want: "no archive of ringback's"},
		{name: "nothing", archive: []byte{}, want: "no archive of ringback's"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			key := moveKey
			if test.key != nil {
				key = test.key
			}
			target, targetFiles := openAt(t, t.TempDir(), "", key)
			if test.prepare != nil {
				test.prepare(target)
			}
			before := rowsOf(t, target)
			from := archive
			if test.archive != nil {
				from = test.archive
			}
			_, err := importInto(t.Context(), target, ImportOptions{Files: targetFiles, OldKey: test.old}, bytes.NewReader(from))
			require.ErrorContains(t, err, test.want)
			equalRows(t, before, rowsOf(t, target))
		})
	}
}

// TestImportLooksAtTheKeyFirst: a database that was made with the wrong one would refuse the right one from then on.
func TestImportLooksAtTheKeyFirst(t *testing.T) {
	t.Parallel()
	source, files := openAt(t, t.TempDir(), "", moveKey)
	archive := exported(t, source, files)
	for _, to := range []Options{{Dir: t.TempDir()}, {Dir: t.TempDir(), Key: make([]byte, 32)}, {Dir: t.TempDir(), DSN: newDSN(t), Key: make([]byte, 32)}} {
		to.Now = time.Now
		into, err := OpenFolderBeside(filepath.Join(to.Dir, FilesDir))
		require.NoError(t, err)
		_, err = Import(t.Context(), ImportOptions{Options: to, Files: into}, bytes.NewReader(archive))
		require.ErrorContains(t, err, "base64 < data/master.key")
		to.Key = moveKey
		done, err := Import(t.Context(), ImportOptions{Options: to, Files: into}, bytes.NewReader(archive))
		require.NoError(t, err)
		require.NotZero(t, done.Rows)
		require.NoError(t, into.Close())
	}
}

// TestImportIsRunAgain after it was cut off at any place: nothing of the first run is in the way.
func TestImportIsRunAgain(t *testing.T) {
	t.Parallel()
	source, files := openAt(t, t.TempDir(), "", moveKey)
	fill(t, source, files, 40)
	archive := exported(t, source, files)
	for name, dsn := range map[string]string{"SQLite": "", "PostgreSQL": newDSN(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target, targetFiles := openAt(t, t.TempDir(), dsn, moveKey)
			for part := range 8 {
				_, err := importInto(t.Context(), target, ImportOptions{Files: targetFiles}, bytes.NewReader(archive[:len(archive)*(part+1)/9]))
				require.Error(t, err)
				stopped, stop := context.WithCancel(t.Context())
				_, err = importInto(stopped, target, ImportOptions{Files: targetFiles, Told: func(p Progress) {
					if p.Rows > int64(part)*20 {
						stop()
					}
				}}, bytes.NewReader(archive))
				stop()
				require.Error(t, err)
				require.Len(t, rowsOf(t, target)["jobs"], 0)
			}
			imported(t, target, targetFiles, archive)
			equalRows(t, rowsOf(t, source), rowsOf(t, target))
		})
	}
}

// TestDamageIsNoticed: an export whose bytes were changed anywhere is refused, or what was changed is not part of it.
func TestDamageIsNoticed(t *testing.T) {
	t.Parallel()
	source, files := openAt(t, t.TempDir(), "", moveKey)
	fill(t, source, files, 3)
	var out bytes.Buffer
	_, err := Export(t.Context(), ExportOptions{Options: source.options, Files: files, Project: "default"}, &out)
	require.NoError(t, err)
	want := rowsOf(t, source)
	refused := 0
	for at := 300; at < out.Len(); at += 1511 {
		damaged := bytes.Clone(out.Bytes())
		damaged[at] ^= 0x20
		target, targetFiles := openAt(t, t.TempDir(), "", moveKey)
		_, err := importInto(t.Context(), target, ImportOptions{Files: targetFiles}, bytes.NewReader(damaged))
		if err != nil {
			refused++
			continue
		}
		equalRows(t, want, rowsOf(t, target))
	}
	require.NotZero(t, refused)
}

// TestFilesThatGoMeanwhile: what clients delete while an export runs is exported as deleted; what work needs is not
// given up.
func TestFilesThatGoMeanwhile(t *testing.T) {
	t.Parallel()
	source, files := openAt(t, t.TempDir(), "", moveKey)
	for _, id := range []string{"file-a", "file-b"} {
		f := jobs.File{ProjectID: "default", ID: id, Blob: "in/" + id, CreatedAt: source.now()}
		f.Bytes = must(files.Put(t.Context(), f.Blob, strings.NewReader("content")))(t)
		require.NoError(t, source.CreateFile(t.Context(), f, nil))
	}
	require.NoError(t, files.Remove(t.Context(), "in/file-a"))
	target, targetFiles := openAt(t, t.TempDir(), newDSN(t), moveKey)
	imported(t, target, targetFiles, exported(t, source, files))
	_, err := target.File(t.Context(), host("file-a"))
	require.True(t, jobs.IsCode(err, jobs.CodeNotFound))
	must(target.File(t.Context(), host("file-b")))(t)

	job := jobs.NewJob{Job: newBatch(source.now())}
	job.Job.InputFileID = "file-a"
	must(source.CreateJob(t.Context(), job))(t)
	_, err = Export(t.Context(), ExportOptions{Options: source.options, Files: files, Project: "default"}, io.Discard)
	require.ErrorContains(t, err, "make the export again")
}

// TestTextsThatPostgresCannotKeep are mended, and counted.
func TestTextsThatPostgresCannotKeep(t *testing.T) {
	t.Parallel()
	source, files := openAt(t, t.TempDir(), "", moveKey)
	for _, name := range []string{"a\x00b", "a\xffb", "ab"} {
		require.NoError(t, source.CreateFile(t.Context(), jobs.File{ProjectID: "default", ID: jobs.NewID("file-"), Filename: name, CreatedAt: source.now()}, nil))
	}
	archive := exported(t, source, files)
	same, sameFiles := openAt(t, t.TempDir(), "", moveKey)
	require.Zero(t, imported(t, same, sameFiles, archive).Mended)
	equalRows(t, rowsOf(t, source), rowsOf(t, same))
	there, thereFiles := openAt(t, t.TempDir(), newDSN(t), moveKey)
	require.EqualValues(t, 2, imported(t, there, thereFiles, archive).Mended)
	var names []string
	require.NoError(t, there.reads.Raw("SELECT filename FROM files ORDER BY id").Scan(&names).Error)
	require.ElementsMatch(t, []string{"a\ufffdb", "a\ufffdb", "ab"}, names)
}

// TestNoSecretInAnArchive: of what is sealed in the database nothing is in clear in a backup or an export, packed or not.
func TestNoSecretInAnArchive(t *testing.T) {
	t.Parallel()
	source, files := openAt(t, t.TempDir(), "", moveKey)
	w := worldOver(t, source)
	const canary = "canary-Zx81-canary"
	signing := "whsec_" + base64.StdEncoding.EncodeToString([]byte(canary+canary))
	w.endpoint(func(r *callbacks.Registered) {
		r.Target = callbacks.Target{URL: "https://e.example.com/?token=" + canary, Headers: map[string]string{"Authorization": canary}, Secrets: callbacks.Secrets{{Text: signing}}}
	})
	w.oneOff("x.example.com", func(n *jobs.NewJob) {
		n.Webhook.URL, n.Webhook.Headers = "https://x.example.com/?k="+canary, map[string]string{"X-Key": canary}
	})
	var out bytes.Buffer
	_, err := Export(t.Context(), ExportOptions{Options: source.options, Files: files, Project: "default"}, &out)
	require.NoError(t, err)
	all := append(out.Bytes(), backedUp(t, source.options.Dir, Uncompressed)...)
	for _, secret := range []string{canary, signing, base64.StdEncoding.EncodeToString([]byte(canary)), string(moveKey), base64.StdEncoding.EncodeToString(moveKey)} {
		require.NotContains(t, string(all), secret)
	}
	require.Contains(t, string(all), "e.example.com", "and it is the archive")
}

// TestMemoryIsFlat: a project of 300 MB moves in a few.
func TestMemoryIsFlat(t *testing.T) {
	source, files := openAt(t, t.TempDir(), "", moveKey)
	w := worldOver(t, source)
	batch := w.oneOff("x.example.com")
	text := bytes.Repeat([]byte("0123456789abcde\n"), 64<<10>>4)
	for range 40 {
		w.exec(`INSERT INTO lines (project_id, job_id, line, ok, text) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40)
			SELECT 'default', ?, (SELECT count(*) FROM lines) + i, 1, ? FROM n`, batch.ID, text)
	}
	f := jobs.File{ProjectID: "default", ID: "file-large", Blob: "in/large", CreatedAt: source.now()}
	f.Bytes = must(files.Put(t.Context(), f.Blob, io.LimitReader(zeros{}, 200<<20)))(t)
	require.NoError(t, source.CreateFile(t.Context(), f, nil))
	most := heap{begin: inUse()}
	path := filepath.Join(t.TempDir(), "export.tar")
	out := must(os.Create(path))(t)
	done, err := Export(t.Context(), ExportOptions{Options: source.options, Files: files, Project: "default", Told: most.look}, out)
	require.NoError(t, err)
	require.Greater(t, done.Bytes, int64(300_000_000))
	_ = must(out.Seek(0, io.SeekStart))(t)
	target, targetFiles := openAt(t, t.TempDir(), "", moveKey)
	got, err := importInto(t.Context(), target, ImportOptions{Files: targetFiles, Told: most.look}, out)
	require.NoError(t, err)
	require.Equal(t, done.Rows, got.Rows)
	require.NoError(t, out.Close())
	require.Less(t, most.peak, uint64(64<<20), "bytes in use beyond those before")
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// heap notes the most that is in use.
type heap struct{ begin, peak uint64 }

func (h *heap) look(Progress) {
	if now := inUse(); now > h.begin {
		h.peak = max(h.peak, now-h.begin)
	}
}

func inUse() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse
}
