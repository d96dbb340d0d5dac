package main

import (
	"bytes"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/mattn/go-sqlite3"
	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/store"
	"github.com/ringback/ringback/testservers"
)

// doctors runs `ringback doctor --json` and gives its findings and exit code; no finding may show a password.
func doctors(t *testing.T, set ...string) (findings []finding, code int) {
	t.Helper()
	args := []string{"doctor", "--json", "--config", writeFile(t, "")}
	for _, s := range set {
		args = append(args, "--set", s)
	}
	var out, errs bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(""), &out, &errs)
	require.Empty(t, errs.String())
	require.NotContains(t, out.String(), "canary")
	for line := range strings.Lines(out.String()) {
		var f finding
		require.NoError(t, json.Unmarshal([]byte(line), &f), line)
		findings = append(findings, f)
	}
	return findings, code
}

func writeFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// about finds what is said of a check at a level; empty for nothing.
func about(findings []finding, check string, l level) string {
	var texts []string
	for _, f := range findings {
		if f.Check == check && f.Level == l {
			texts = append(texts, f.Text+" → "+f.Do)
		}
	}
	return strings.Join(texts, "\n")
}

func TestDoctorOfAFreshMachine(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	findings, code := doctors(t, "data_dir="+dir, "server.public_url=https://r.example.com")
	require.Zero(t, code)
	require.Contains(t, about(findings, "database", fine), "nothing in it yet")
	require.Contains(t, about(findings, "files", fine), "made at the first start")
	require.Contains(t, about(findings, "callbacks", fine), "https alone")
	require.NoDirExists(t, dir, "a look makes nothing")
}

// migrated makes a database as `ringback migrate` does.
func migrated(t *testing.T, set ...string) string {
	t.Helper()
	args := []string{"migrate", "--config", writeFile(t, "")}
	for _, s := range set {
		args = append(args, "--set", s)
	}
	var out, errs bytes.Buffer
	require.Zero(t, run(t.Context(), args, strings.NewReader(""), &out, &errs), errs.String())
	return out.String()
}

func TestDoctorOfSQLite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.Contains(t, migrated(t, "data_dir="+dir), "from version 0 to 8")
	require.Contains(t, migrated(t, "data_dir="+dir), "up to date: version 8")
	findings, code := doctors(t, "data_dir="+dir)
	require.Zero(t, code)
	require.Contains(t, about(findings, "database", fine), "version 8")

	require.NoError(t, os.Chmod(filepath.Join(dir, store.KeyFile), 0o644))
	findings, code = doctors(t, "data_dir="+dir)
	require.Zero(t, code)
	require.Contains(t, about(findings, "database", warn), "chmod 600")

	other := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))
	findings, code = doctors(t, "data_dir="+dir, "secrets.key="+other)
	require.Equal(t, 1, code)
	require.Contains(t, about(findings, "database", fail), "sealed with another key")
}

func TestDoctorBesideAServerAndOfALaterVersion(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	migrated(t, "data_dir="+dir)
	s, err := store.Open(t.Context(), Config{DataDir: dir}.storeOptions())
	require.NoError(t, err)
	findings, code := doctors(t, "data_dir="+dir)
	require.Zero(t, code)
	require.Contains(t, about(findings, "database", fine), "at work on it")
	require.NoError(t, s.Close())

	db, err := sql.Open("sqlite3", filepath.Join(dir, store.DatabaseFile))
	require.NoError(t, err)
	_, err = db.Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, 1)")
	require.NoError(t, err)
	require.NoError(t, db.Close())
	findings, code = doctors(t, "data_dir="+dir)
	require.Equal(t, 1, code)
	require.Contains(t, about(findings, "database", fail), "later version")
	_, err = store.Open(t.Context(), Config{DataDir: dir}.storeOptions())
	require.ErrorContains(t, err, "later version")
}

func TestDoctorOfADamagedDatabase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	migrated(t, "data_dir="+dir)
	file := filepath.Join(dir, store.DatabaseFile)
	db, err := sql.Open("sqlite3", file)
	require.NoError(t, err)
	_, err = db.Exec("PRAGMA wal_checkpoint(TRUNCATE)")
	require.NoError(t, errors.Join(err, db.Close()))
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	for page := 4096 * 8; page < len(content); page += 4096 * 3 {
		copy(content[page:], bytes.Repeat([]byte{0x5a}, 512))
	}
	require.NoError(t, os.WriteFile(file, content, 0o600))
	findings, code := doctors(t, "data_dir="+dir)
	require.Equal(t, 1, code, "%d bytes: %v", len(content), findings)
	require.NotEmpty(t, about(findings, "database", fail), "%d bytes: %v", len(content), findings)
}

func TestDoctorOfAFleet(t *testing.T) {
	t.Parallel()
	postgres, err := testservers.StartPostgres("synchronous_commit=off", "fsync=on")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, postgres.Stop()) })
	redis, err := testservers.StartRedis("--maxmemory-policy", "allkeys-lru")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, redis.Stop()) })
	dsn, err := postgres.NewDatabase()
	require.NoError(t, err)
	key := "secrets.key=" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))
	set := []string{"store.dsn=" + dsn, "queue.redis=" + redis.URL(), key, "data_dir=" + t.TempDir(), "store.connections=90"}
	findings, code := doctors(t, set...)
	require.Zero(t, code)
	require.Contains(t, about(findings, "database", fine), "nothing in it yet")
	require.Contains(t, migrated(t, set...), "from version 0 to 3")
	findings, code = doctors(t, set...)
	require.Zero(t, code)
	require.Contains(t, about(findings, "database", warn), "synchronous_commit = off")
	require.Contains(t, about(findings, "clock", fine), "this machine's")
	require.Contains(t, about(findings, "queue", warn), "allkeys-lru")
	require.Contains(t, about(findings, "database", fine), "0 processes")

	require.NoError(t, redis.Stop())
	require.NoError(t, postgres.Kill())
	findings, code = doctors(t, set...)
	require.Equal(t, 1, code)
	require.Contains(t, about(findings, "queue", fail), "does not answer")
	require.Contains(t, about(findings, "database", fail), "cannot be read")
}

func TestDoctorKnowsAPoolingProxy(t *testing.T) {
	t.Parallel()
	caches := aboutPostgres(&store.Inspection{Connections: 100, Proxied: true, Prepares: true}, 5)
	require.Contains(t, about(caches, "database", warn), "cache_describe")
	ready := aboutPostgres(&store.Inspection{Connections: 100, Proxied: true}, 5)
	require.Empty(t, about(ready, "database", warn))
	require.Contains(t, about(ready, "database", fine), "pooling proxy")
}

func TestDoctorShowsNoPassword(t *testing.T) {
	t.Parallel()
	key := "secrets.key=" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))
	_, code := doctors(t, "store.dsn=postgres://user:canary@127.0.0.1:1/db", "queue.redis=redis://:canary@127.0.0.1:1/0", key, "data_dir="+t.TempDir())
	require.Equal(t, 1, code)
	findings, code := doctors(t, "store.dsn=postgres://user:canary@127.0.0.1:port/db", key)
	require.Equal(t, 1, code)
	require.NotEmpty(t, about(findings, "database", fail))
}

func TestDoctorOfProviders(t *testing.T) {
	t.Parallel()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.Header.Get("Authorization") != "Bearer good" {
			w.WriteHeader(http.StatusUnauthorized)
		}
		_, _ = w.Write([]byte(`{"object":"list","data":[{"id":"m","object":"model"}]}`))
	}))
	t.Cleanup(upstream.Close)
	provider := func(key, url string) string {
		return "providers=[{name: p, type: openai, base_url: '" + url + "', api_key: " + key + ", models: ['m'], concurrency: 1, timeout: 5s}]"
	}
	dir := "data_dir=" + t.TempDir()
	findings, code := doctors(t, dir, provider("good", upstream.URL+"/v1"))
	require.Zero(t, code, findings)
	require.Contains(t, about(findings, "providers", fine), "p (m) answers, and lists 1 models")
	findings, code = doctors(t, dir, provider("canary", upstream.URL+"/v1"))
	require.Equal(t, 1, code)
	require.Contains(t, about(findings, "providers", fail), "check api_key")
	findings, code = doctors(t, dir, "simulator.enabled=false")
	require.Equal(t, 1, code)
	require.Contains(t, about(findings, "providers", fail), "none is configured")
}

// All problems of the configuration are findings, and nothing else is looked at.
func TestDoctorOfABadConfiguration(t *testing.T) {
	t.Parallel()
	findings, code := doctors(t, "server.roles=cook", "jobs.workers=0")
	require.Equal(t, 1, code)
	text := about(findings, "configuration", fail)
	require.Contains(t, text, "server.roles")
	require.Contains(t, text, "jobs.workers")
	require.Len(t, findings, 2)
}

func TestNewer(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]bool{"6.2.0": true, "7.0.15": true, "6.0.16": false, "5.0": false, "valkey": true, "": true} {
		require.Equal(t, want, newer(version, 6, 2), version)
	}
}
