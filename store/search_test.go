package store

import (
	"database/sql"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/ringback/ringback/jobs"
)

// found are the IDs of jobs that a search finds.
func (w *world) found(q jobs.Search) (ids []string) {
	w.t.Helper()
	q.ProjectID = "default"
	if q.Limit == 0 {
		q.Limit = 100
	}
	all, _, err := w.SearchJobs(w.t.Context(), q)
	require.NoError(w.t, err)
	for i := range all {
		ids = append(ids, all[i].ID)
	}
	return ids
}

func called(metadata string) func(*jobs.Job) {
	return func(j *jobs.Job) { j.Metadata = []byte(metadata) }
}

// in puts a job into a state.
func in(status jobs.Status, change ...func(*jobs.Job)) func(*jobs.Job) {
	return func(j *jobs.Job) {
		if j.Status = status; status.Terminal() {
			j.EndedAt = j.CreatedAt + 1
			j.Rest()
		}
		for _, c := range change {
			c(j)
		}
	}
}

// TestSearchFindsByMetadata, whatever the letter case; what is special to LIKE is a letter like others.
func TestSearchFindsByMetadata(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		ids := map[string]string{}
		for name, metadata := range map[string]string{
			"night": `{"name":"Nightly RUN 7","team":"Ökonomie"}`, "percent": `{"share":"100%_done"}`, "slash": `{"path":"C:\\new"}`, "other": `{"share":"100x done"}`,
			"none": "", "number": `{"n":12345}`, "null": "null", "odd": "{\"bad\":\"a\\u0000b\"}", "long": `{"a":"` + strings.Repeat("ö", mostWords) + `","b":"beyond"}`,
		} {
			ids[name] = w.planned(called(metadata)).ID
		}
		for text, want := range map[string][]string{
			"nightly run": {"night"}, "NIGHTLY": {"night"}, "name=nightly": {"night"}, "ökonomie": {"night"}, "ÖKO": {"night"}, " run 7 ": {"night"},
			"100%": {"percent"}, "%_d": {"percent"}, "100_": nil, `c:\n`: {"slash"}, `\`: {"slash"}, "share=100": {"percent", "other"},
			"12345": {"number"}, "bad=ab": {"odd"}, "beyond": nil, "öööö": {"long"}, "nobody": nil, strings.Repeat("x", 400): nil,
		} {
			var ids2 []string
			for _, name := range want {
				ids2 = append(ids2, ids[name])
			}
			require.ElementsMatch(t, ids2, w.found(jobs.Search{Text: text}), "%q", text)
		}
		require.Len(t, w.found(jobs.Search{Text: "  "}), len(ids), "nothing was asked for")
		require.Empty(t, w.found(jobs.Search{Text: "run", Kind: jobs.KindBatch}))
		require.Len(t, w.found(jobs.Search{Text: "run", Kind: jobs.KindGeneration, Group: jobs.GroupQueued}), 1)
		_, _, err := w.SearchJobs(t.Context(), jobs.Search{ProjectID: "other", Text: "run", Limit: 3})
		require.NoError(t, err)
	})
}

// TestSearchFindsByID, by how it begins.
func TestSearchFindsByID(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		one, other := w.planned(), newBatch(w.now())
		must(w.CreateJob(t.Context(), jobs.NewJob{Job: other}))(t)
		for _, text := range []string{one.ID, one.ID[:20], strings.ToLower(one.ID), strings.ToUpper(one.ID), "gen_"} {
			require.Equal(t, []string{one.ID}, w.found(jobs.Search{Text: text}), text)
		}
		require.Equal(t, []string{other.ID}, w.found(jobs.Search{Text: "batch_"}))
		require.Empty(t, w.found(jobs.Search{Text: one.ID + "X"}))
		require.Empty(t, w.found(jobs.Search{Text: one.ID[4:]}))
	})
}

// TestSearchGoesPageByPage, past the bound of what one page goes on with.
func TestSearchGoesPageByPage(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		const n = mostFound + 50
		w.do(func(tx *gorm.DB) error {
			for i := range n {
				j := newBatch(begun + jobs.Time(i/3)) // some in the same millisecond
				j.ID, j.Metadata = fmt.Sprintf("batch_%05d", i), []byte(`{"name":"many"}`)
				if err := keepWords(tx, &j); err != nil {
					return err
				}
				if err := tx.Create(&j).Error; err != nil {
					return err
				}
			}
			return nil
		})
		var got []string
		for after := ""; ; {
			page, more, err := w.SearchJobs(t.Context(), jobs.Search{ProjectID: "default", Text: "many", After: after, Limit: 100})
			require.NoError(t, err)
			for _, j := range page {
				got = append(got, j.ID)
			}
			if !more {
				break
			}
			after = page[len(page)-1].ID
		}
		require.Len(t, got, n)
		for i, id := range got {
			require.Equal(t, fmt.Sprintf("batch_%05d", n-1-i), id)
		}
		_, _, err := w.SearchJobs(t.Context(), jobs.Search{ProjectID: "default", After: "batch_none", Limit: 1})
		require.Error(t, err)
		require.Len(t, w.found(jobs.Search{Since: begun + 100, Limit: n}), n-300)
	})
}

// TestGroupsHoldEachJobOnce, and counts are those of the groups.
func TestGroupsHoldEachJobOnce(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		down := func(j *jobs.Job) { j.BlockedBy = jobs.BlockedByProvider }
		byStatus := map[jobs.Group][]func(*jobs.Job){
			jobs.GroupRunning:   {in(jobs.Validating), in(jobs.InProgress), in(jobs.Finalizing), in(jobs.Cancelling), in(jobs.ValidatingFiles), in(jobs.Running, down)},
			jobs.GroupQueued:    {in(jobs.Queued), in(jobs.Paused), in(jobs.Queued, down)},
			jobs.GroupCompleted: {in(jobs.Completed), in(jobs.Succeeded)},
			jobs.GroupFailed:    {in(jobs.Failed), in(jobs.Incomplete)},
			jobs.GroupStopped:   {in(jobs.Cancelled), in(jobs.Expired)},
		}
		want := map[jobs.Group]int64{jobs.GroupStuck: 2}
		seen := map[string]bool{}
		for g, all := range byStatus {
			var ids []string
			for _, change := range all {
				ids = append(ids, w.planned(change).ID)
				want[g]++
				want[jobs.GroupAll]++
			}
			require.ElementsMatch(t, ids, w.found(jobs.Search{Group: g}), g)
			for _, id := range ids {
				require.False(t, seen[id])
				seen[id] = true
			}
		}
		require.Len(t, w.found(jobs.Search{Group: jobs.GroupStuck}), 2)
		require.Len(t, w.found(jobs.Search{}), int(want[jobs.GroupAll]))
		require.Equal(t, want, must(w.CountJobs(t.Context(), "default"))(t))
		require.Empty(t, present(must(w.CountJobs(t.Context(), "other"))(t)))
	})
}

// present are the counts that are not zero.
func present(counts map[jobs.Group]int64) map[jobs.Group]int64 {
	for g, n := range counts {
		if n == 0 {
			delete(counts, g)
		}
	}
	return counts
}

// TestCountsEndAtTheirBound: of more jobs than that the exact number is not counted.
func TestCountsEndAtTheirBound(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		w.copies(w.planned(in(jobs.Failed)), "failed", jobs.CountBound+500)
		w.copies(w.planned(), "open", jobs.CountBound+500)
		counts := must(w.CountJobs(t.Context(), "default"))(t)
		for _, g := range []jobs.Group{jobs.GroupAll, jobs.GroupQueued, jobs.GroupFailed} {
			require.EqualValues(t, jobs.CountBound+1, counts[g], g)
		}
		require.EqualValues(t, jobs.CountBound+1, must(w.Standing(t.Context(), "default"))(t).Open)
	})
}

// TestWordsGoWithTheirJob when it is kept no longer.
func TestWordsGoWithTheirJob(t *testing.T) {
	t.Parallel()
	onEachDepot(t, func(t *testing.T, d *depot) {
		gone := d.planned(called(`{"name":"old"}`))
		d.ends(gone)
		d.pass(day)
		kept := d.planned(called(`{"name":"new"}`))
		require.Positive(t, d.purge(Periods{Jobs: day}))
		require.Equal(t, 1, d.count("job_words"))
		require.Equal(t, []string{kept.ID}, d.found(jobs.Search{Text: "name="}))
	})
}

// TestWordsMove with their jobs, there and back.
func TestWordsMove(t *testing.T) {
	t.Parallel()
	from, files := openAt(t, t.TempDir(), "", testKey)
	ref := worldOver(t, from).planned(called(`{"name":"Grüße"}`))
	there, thereFiles := openAt(t, t.TempDir(), newDSN(t), testKey)
	imported(t, there, thereFiles, exported(t, from, files))
	back, backFiles := openAt(t, t.TempDir(), "", testKey)
	imported(t, back, backFiles, exported(t, there, thereFiles))
	for _, s := range []*Store{there, back} {
		require.Equal(t, []string{ref.ID}, worldOver(t, s).found(jobs.Search{Text: "GRÜ"}))
		require.Equal(t, []string{ref.ID}, worldOver(t, s).found(jobs.Search{Text: "grüße"}))
	}
}

// olderSchema makes a database as the version before this schema left it, without this one's last migrations.
func olderSchema(t *testing.T, driver, place string, dialect goose.Dialect, version int64, fill func(*sql.DB)) {
	t.Helper()
	db, err := sql.Open(driver, place)
	require.NoError(t, err)
	files, err := fs.Sub(migrations, "migrations/"+folders[dialect])
	require.NoError(t, err)
	p, err := goose.NewProvider(dialect, db, files)
	require.NoError(t, err)
	_, err = p.UpTo(t.Context(), version)
	require.NoError(t, err)
	fill(db)
	require.NoError(t, db.Close())
}

// TestJobsFromBeforeAreFound: whatever metadata they have.
func TestJobsFromBeforeAreFound(t *testing.T) {
	t.Parallel()
	fill := func(t *testing.T, raw string) func(*sql.DB) {
		return func(db *sql.DB) {
			for id, metadata := range map[string]string{
				"gen_1": `{"name":"Nightly run","team":"T7"}`, "gen_2": `{ "name": "Loose", "x": 1 }`, "gen_3": `{}`, "gen_4": `null`, "gen_5": "", "gen_6": "NULL",
				"gen_7": `{"odd":"\u0000 \ud800"}`, "gen_8": `{"long":"` + strings.Repeat("ö", 3000) + `"}`,
			} {
				value := fmt.Sprintf(raw, strings.ReplaceAll(metadata, `'`, `''`))
				if metadata == "NULL" {
					value = "NULL"
				}
				_, err := db.Exec(`INSERT INTO jobs (project_id, id, kind, status, ending, path, model, metadata, input_file_id, output_file_id, error_file_id, completion_window, output_ttl,
					total, completed, failed, input_tokens, cached_tokens, output_tokens, reasoning_tokens, total_tokens, refusals, sequence, created_at, changed_at, started_at, finalizing_at,
					cancelling_at, ended_at, expires_at, attempt, claims, tries, owner, due_at, wake_at)
					SELECT 'default', '` + id + `', 'generation', 'completed', '', '', '', ` + value + `, '', '', '', '', 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 1, 0, 1, 0, 1, '', 0, 0`)
				require.NoError(t, err)
			}
		}
	}
	check := func(t *testing.T, w *world) {
		for text, want := range map[string]string{"nightly": "gen_1", "team=t7": "gen_1", "name=nightly run": "gen_1", "loose": "gen_2", "name=loose": "gen_2", "odd": "gen_7", "ööö": "gen_8"} {
			require.Equal(t, []string{want}, w.found(jobs.Search{Text: text}), text)
		}
		require.Equal(t, 4, w.count("job_words"))
	}
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		olderSchema(t, "sqlite3", dsn(filepath.Join(dir, DatabaseFile), "_auto_vacuum=incremental"), goose.DialectSQLite3, 8, fill(t, "CAST('%s' AS BLOB)"))
		_, err := newSealer(nil, filepath.Join(dir, KeyFile), true)
		require.NoError(t, err)
		s, err := Open(t.Context(), Options{Dir: dir, Now: time.Now})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		check(t, worldOver(t, s))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		place := newDSN(t)
		olderSchema(t, "pgx", place, goose.DialectPostgres, 2, fill(t, "convert_to('%s', 'UTF8')"))
		s, _ := openAt(t, t.TempDir(), place, testKey)
		check(t, worldOver(t, s))
	})
}
