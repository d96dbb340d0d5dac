package ringback_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/ringback/ringback"

// arrows say which of our packages each may import. They point at plain types; docs/design.md draws them.
var arrows = map[string][]string{
	"cmd/ringback":         {"", "web", "callbacks", "callbacks/signature", "history", "jobs", "jobs/queue", "metrics", "providers", "providers/simulator", "store", "telemetry", "telemetry/span", "web/pages"},
	"web":                  {"callbacks", "history", "jobs", "rawjson", "telemetry/span", "web/openapi", "web/pages"},
	"web/pages":            {"callbacks", "history", "jobs", "rawjson"},
	"store":                {"callbacks", "callbacks/signature", "history", "jobs"},
	"web/openapi":          {},
	"web/openapi/contract": {"web/openapi"},
	"callbacks":            {"callbacks/signature", "jobs", "telemetry/span"},
	"callbacks/signature":  {},
	"history":              {"jobs"},
	"jobs":                 {"providers", "providers/responses", "rawjson", "telemetry/span"},
	"jobs/queue":           {},
	"providers":            {"rawjson", "telemetry/span"},
	"providers/responses":  {"rawjson"},
	"providers/simulator":  {"rawjson"},
	"rawjson":              {},
	"metrics":              {},
	"telemetry":            {"telemetry/span"},
	"telemetry/span":       {},
	"testservers":          {},
	"bench":                {"testservers"},
	"e2e":                  {},
	"examples/receiver-go": {},
	"":                     {},
}

// homes say where a vendor lives: nobody else imports it. testservers and web/openapi/contract are no part of the program.
var homes = map[string]string{
	"github.com/gin-gonic/gin":          "web",
	"github.com/hibiken/asynq":          "jobs/queue",
	"github.com/redis/go-redis":         "jobs/queue",
	"github.com/alicebob/miniredis":     "jobs/queue",
	"github.com/sashabaranov/go-openai": "providers",
	"gorm.io":                           "store",
	"github.com/mattn/go-sqlite3":       "store",
	"github.com/pressly/goose":          "store",
	"github.com/jackc/pgx":              "store and testservers",
	"code.dny.dev/ssrf":                 "callbacks",
	"github.com/minio/minio-go":         "store",
	"github.com/johannesboyne/gofakes3": "nowhere but tests",
	"github.com/prometheus":             "metrics",
	"github.com/spf13/cobra":            "cmd/ringback",
	"github.com/knadh/koanf":            "cmd/ringback",
	"github.com/goccy/go-yaml":          "cmd/ringback and web/openapi/contract",
	"github.com/santhosh-tekuri":        "web/openapi/contract",
	"golang.org/x/term":                 "cmd/ringback",
	"go.opentelemetry.io":               "telemetry",
	"github.com/getkin/kin-openapi":     "clients",
	"github.com/openai/openai-go":       "clients",
	"github.com/standard-webhooks":      "nowhere but tests",
	"github.com/stretchr/testify":       "nowhere but tests",
	"pgregory.net/rapid":                "nowhere but tests",
}

// imports gives each package's imports, tests left out.
func imports(t *testing.T) map[string]map[string]string {
	t.Helper()
	found := map[string]map[string]string{}
	require.NoError(t, fs.WalkDir(os.DirFS("."), ".", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && (strings.HasPrefix(d.Name(), ".") && file != "." || d.Name() == "data" || d.Name() == "clients") {
			return skip(err)
		}
		if d.IsDir() || filepath.Ext(file) != ".go" || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		dir := strings.TrimPrefix(path.Dir(file), ".")
		if found[dir] == nil {
			found[dir] = map[string]string{}
		}
		for _, i := range parsed.Imports {
			name, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			found[dir][name] = file
		}
		return nil
	}))
	return found
}

func skip(err error) error {
	if err != nil {
		return err
	}
	return fs.SkipDir
}

func TestArrows(t *testing.T) {
	t.Parallel()
	for dir, imported := range imports(t) {
		allowed, known := arrows[dir]
		require.True(t, known, "package %q stands on no map: say here, and in docs/design.md, what it may import", dir)
		for name, file := range imported {
			ours, isOurs := strings.CutPrefix(name, module)
			if isOurs {
				require.Contains(t, allowed, strings.TrimPrefix(ours, "/"), "%s imports %s against the arrows", file, name)
			}
		}
	}
}

func TestEachVendorHasOneHome(t *testing.T) {
	t.Parallel()
	for dir, imported := range imports(t) {
		for name, file := range imported {
			for vendor, home := range homes {
				if name == vendor || strings.HasPrefix(name, vendor+"/") {
					require.Contains(t, strings.Split(home, " and "), dir, "%s imports %s, whose home is %s", file, name, home)
				}
			}
		}
	}
}
