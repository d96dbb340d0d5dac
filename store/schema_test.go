package store

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSchemasAreTheSame: both databases have the same tables with the same columns, and the same indexes with the same
// conditions, but for what stands here.
func TestSchemasAreTheSame(t *testing.T) {
	t.Parallel()
	here, there := newWorld(t), worldOver(t, openPostgresStore(t))
	onlyHere := []string{"COLUMN events.position bigint", "COLUMN tuning_events.position bigint", "UNIQUE events (position)"} // the rows' own numbers
	onlyThere := []string{
		"COLUMN events.position bigint not null", "COLUMN tuning_events.position bigint not null",
		"COLUMN events.kept bigint not null", "COLUMN lines.kept bigint not null",
		"COLUMN leases.name text not null", "COLUMN leases.owner text not null", "COLUMN leases.until_at bigint not null",
		"COLUMN owners.id text not null", "COLUMN owners.life bigint not null", "COLUMN owners.started_at bigint not null", "COLUMN owners.beat_at bigint not null",
		"INDEX events_unnumbered ON events (kept) WHERE position = 0", "INDEX lines_kept ON lines (project_id, job_id, kept)",
		"UNIQUE events (kept)", "UNIQUE leases (name)", "UNIQUE owners (id)",
	}
	h, th := here.schema(sqliteSchema), there.schema(postgresSchema)
	require.ElementsMatch(t, onlyHere, without(h, th), "only in SQLite")
	require.ElementsMatch(t, onlyThere, without(th, h), "only in PostgreSQL")
}

// schema gives a line for each column and index.
func (w *world) schema(queries []string) (lines []string) {
	w.t.Helper()
	for _, q := range queries {
		var some []string
		require.NoError(w.t, w.reads.Raw(q).Scan(&some).Error)
		for _, line := range some {
			lines = append(lines, plainSQL(line))
		}
	}
	slices.Sort(lines)
	return lines
}

var (
	sqliteSchema = []string{
		`SELECT 'COLUMN ' || t.name || '.' || c.name || ' ' || lower(c.type) || CASE WHEN c."notnull" THEN ' not null' ELSE '' END
			FROM sqlite_master t JOIN pragma_table_info(t.name) c WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' AND t.name NOT LIKE 'goose%'`,
		`SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND name NOT LIKE 'goose%'`,
		`SELECT 'UNIQUE ' || t.name || ' (' || (SELECT group_concat(name, ', ') FROM (SELECT name FROM pragma_table_info(t.name) WHERE pk > 0 ORDER BY pk)) || ')'
			FROM sqlite_master t WHERE t.type = 'table' AND t.name NOT LIKE 'goose%' AND EXISTS (SELECT 1 FROM pragma_table_info(t.name) WHERE pk > 0)`,
	}
	postgresSchema = []string{
		`SELECT 'COLUMN ' || table_name || '.' || column_name || ' ' || data_type || CASE WHEN is_nullable = 'NO' THEN ' not null' ELSE '' END
			FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT LIKE 'goose%'`,
		`SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename NOT LIKE 'goose%' AND indexname NOT LIKE '%_pkey'`,
		`SELECT 'UNIQUE ' || tablename || substr(indexdef, position(' (' IN indexdef)) FROM pg_indexes
			WHERE schemaname = 'public' AND tablename NOT LIKE 'goose%' AND indexname LIKE '%_pkey'`,
	}
	// spelling is what the two write differently.
	spelling = strings.NewReplacer("public.", "", " USING btree", "", "CREATE ", "", "::text", "", "blob", "bytes", "bytea", "bytes",
		" integer", " bigint", " boolean", " bigint", "\"", "", "IF NOT EXISTS ", "")
	spaces   = regexp.MustCompile(`\s+`)
	unlisted = regexp.MustCompile(`\(?(\w+) <> ALL \(\(?ARRAY\[([^\]]*)\]\)?(?:\[\])?\)\)?`)
	listed   = regexp.MustCompile(`\(?(\w+) = ANY \(\(?ARRAY\[([^\]]*)\]\)?(?:\[\])?\)\)?`)
)

// plainSQL is a line as both would write it.
func plainSQL(line string) string {
	line = spaces.ReplaceAllString(spelling.Replace(line), " ")
	line = unlisted.ReplaceAllString(line, "$1 NOT IN ($2)")
	line = listed.ReplaceAllString(line, "$1 IN ($2)")
	index, condition, found := strings.Cut(line, " WHERE ")
	if !found {
		return line
	}
	condition = strings.NewReplacer("(", "", ")", "").Replace(condition)
	return fmt.Sprintf("%s WHERE %s", index, condition)
}

func without(all, known []string) (rest []string) {
	for _, line := range all {
		if !slices.Contains(known, line) {
			rest = append(rest, line)
		}
	}
	return rest
}
