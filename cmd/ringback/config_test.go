package main

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback"
)

const (
	testMasterKey  = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	testSigningKey = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
)

// written makes a configuration file and returns its path.
func written(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ringback.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// problems loads a configuration that is wrong and returns its problems.
func problems(t *testing.T, sources ConfigSources) []string {
	t.Helper()
	_, _, err := LoadConfig(sources)
	var wrong *ConfigError
	require.ErrorAs(t, err, &wrong)
	return wrong.Problems
}

func TestDefaultsRunAsTheyAre(t *testing.T) {
	t.Parallel()
	cfg, warnings, err := LoadConfig(ConfigSources{NoFile: true})
	require.NoError(t, err)
	require.Empty(t, warnings)
	require.Equal(t, "127.0.0.1:8787", cfg.Server.Listen)
	require.Equal(t, 20*time.Second, cfg.Server.ShutdownGrace)
	require.Equal(t, ByteSize(200_000_000), cfg.Limits.BatchBytes)
	require.Equal(t, ByteSize(8_000_000_000), cfg.Limits.UploadBytes)
	require.Equal(t, ByteSize(64_000_000), cfg.Limits.UploadPartBytes)
	require.Equal(t, ByteSize(16<<20), cfg.Limits.AnswerBytes)
	require.Equal(t, ByteSize(256<<10), cfg.Limits.EventBytes)
	require.Equal(t, 50_000, cfg.Limits.BatchLines)
	require.True(t, cfg.Simulator.Enabled)
	require.Equal(t, 10*time.Second, cfg.Simulator.Tuning)
	require.Empty(t, cfg.Providers)
}

// Strict until the operator opens it.
func TestCallbackDefaultsAreStrict(t *testing.T) {
	t.Parallel()
	cfg, _, err := LoadConfig(ConfigSources{NoFile: true})
	require.NoError(t, err)
	require.False(t, cfg.Callbacks.AllowHTTP)
	require.Empty(t, cfg.Callbacks.AllowCIDRs)
	require.Empty(t, cfg.Callbacks.AllowPorts, "443 alone")
	require.Equal(t, []time.Duration{0, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 8 * time.Hour}, cfg.Callbacks.Schedule)
	require.Equal(t, 10*time.Second, cfg.Callbacks.Timeout)
	require.Equal(t, "X-Ringback-Signature", cfg.Callbacks.BodySignatureHeader)
}

// treeKeys lists the dotted keys of a YAML tree; a list is one key.
func treeKeys(tree map[string]any, parent string) []string {
	var keys []string
	for name, value := range tree {
		if below, ok := value.(map[string]any); ok {
			keys = append(keys, treeKeys(below, joinKey(parent, name))...)
		} else {
			keys = append(keys, joinKey(parent, name))
		}
	}
	return keys
}

func TestConfigFileAndFieldsAgree(t *testing.T) {
	t.Parallel()
	var tree map[string]any
	require.NoError(t, yaml.Unmarshal(ringback.DefaultConfig, &tree))
	require.ElementsMatch(t, settingKeys(reflect.TypeFor[Config](), ""), treeKeys(tree, ""))
}

func TestEachSettingHasAComment(t *testing.T) {
	t.Parallel()
	lines := strings.Split(string(ringback.DefaultConfig), "\n")
	for i, line := range lines {
		bare := strings.TrimSpace(strings.TrimPrefix(line, "#"))
		name, value, isKey := strings.Cut(bare, ": ")
		if !isKey || value == "" || strings.ContainsAny(name, " `-") || i < 16 {
			continue
		}
		require.Contains(t, lines[i-1], "# ", "%s has no comment above it", name)
	}
}

// The commented-out provider shows the defaults of a list entry and loads.
func TestProviderExample(t *testing.T) {
	t.Parallel()
	_, example, found := strings.Cut(string(ringback.DefaultConfig), "providers: []\n")
	require.True(t, found)
	example, _, _ = strings.Cut(example, "\nsimulator:")
	text := "providers:\n" + strings.TrimPrefix(strings.ReplaceAll("\n"+example, "\n#", "\n"), "\n")
	cfg, warnings, err := LoadConfig(ConfigSources{File: written(t, text), Environ: []string{"OPENAI_API_KEY=sk-example"}})
	require.NoError(t, err)
	require.Empty(t, warnings)
	require.Len(t, cfg.Providers, 1)

	var want ProviderConfig
	want.setDefaults()
	want.Name, want.BaseURL, want.APIKey = "openai", "https://api.openai.com/v1", "sk-example"
	want.Models, want.Headers = []string{"gpt-*", "o*", "text-embedding-*"}, map[string]Secret{}
	want.Media = []MediaConfig{{
		Path: "/v1/videos", Poll: "/v1/videos/{id}", Fetch: "/v1/videos/{id}/content", Cancel: "DELETE /v1/videos/{id}",
		ID: "id", Status: "status", Progress: "progress", Error: "error.message", Every: time.Second,
		Done: []string{"completed", "succeeded"}, Failed: []string{"failed", "cancelled", "canceled", "expired", "error"},
	}}
	require.Equal(t, want, cfg.Providers[0])

	for _, name := range append(fieldNames(reflect.TypeFor[ProviderConfig]()), fieldNames(reflect.TypeFor[MediaConfig]())...) {
		require.Contains(t, example, " "+name+":", "the example lacks %s", name)
	}
}

func TestLayers(t *testing.T) {
	t.Parallel()
	cfg, _, err := LoadConfig(ConfigSources{
		File: written(t, "callbacks:\n  timeout: 1s\n  workers: 1\njobs: {workers: 1}\nbatches:\n  workers:\n"),
		Environ: []string{
			"RINGBACK_CALLBACKS__TIMEOUT=2s",
			"RINGBACK_JOBS__WORKERS=2",
			"RINGBACK_SERVER=http://the-client-commands",
			"RINGBACK_API_KEY=theirs-too",
			"RINGBACK_SERVICE_HOST=an-orchestrator's",
			"RINGBACK_LOG__LEVEL=",
		},
		Set: []string{"callbacks.timeout=3s"},
	})
	require.NoError(t, err)
	require.Equal(t, 3*time.Second, cfg.Callbacks.Timeout, "--set wins")
	require.Equal(t, 2, cfg.Jobs.Workers, "the environment wins over the file")
	require.Equal(t, 1, cfg.Callbacks.Workers, "the file wins over the defaults")
	require.Equal(t, 64, cfg.Batches.Workers, "an empty value keeps the default")
	require.Equal(t, "X-Ringback-Signature", cfg.Callbacks.BodySignatureHeader, "neighbours stay")
}

func TestValuesAreYAML(t *testing.T) {
	t.Parallel()
	cfg, warnings, err := LoadConfig(ConfigSources{NoFile: true, Environ: []string{
		"RINGBACK_CALLBACKS__ALLOW_HTTP=true",
		"RINGBACK_CALLBACKS__ALLOW_PORTS=[443, 8000-9000]",
		`RINGBACK_CALLBACKS__ALLOW_CIDRS=[10.1.0.0/16, "::1/128"]`,
		"RINGBACK_CALLBACKS__SCHEDULE=[0s, 90s]",
		`RINGBACK_PROVIDERS=[{name: mine, base_url: "http://127.0.0.1:9/v1", models: ["m-*"], headers: {X-Team: "a"}}]`,
		"RINGBACK_AUTH__KEYS=['a-key-of-enough-length']",
		"RINGBACK_SECRETS__KEY=" + testMasterKey,
		"RINGBACK_DATA_DIR=0123",
		"RINGBACK_SIMULATOR__FAIL=0.25",
		"RINGBACK_LOG__LEVEL=warn",
	}})
	require.NoError(t, err)
	require.Empty(t, warnings, "secrets from the environment need no warning")
	require.True(t, cfg.Callbacks.AllowHTTP)
	require.Equal(t, []PortRange{{443, 443}, {8000, 9000}}, cfg.Callbacks.AllowPorts)
	require.Equal(t, []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("::1/128")}, cfg.Callbacks.AllowCIDRs)
	require.Equal(t, []time.Duration{0, 90 * time.Second}, cfg.Callbacks.Schedule)
	require.Equal(t, "mine", cfg.Providers[0].Name)
	require.Equal(t, map[string]Secret{"X-Team": "a"}, cfg.Providers[0].Headers)
	require.Equal(t, "0123", cfg.DataDir, "a text is taken as it stands")
	require.InDelta(t, 0.25, cfg.Simulator.Fail, 0)
	require.Equal(t, "WARN", cfg.Log.Level.String())
}

func TestPrintLoadsAgainAndHidesSecrets(t *testing.T) {
	t.Parallel()
	cfg, _, err := LoadConfig(ConfigSources{NoFile: true, Set: []string{
		"auth.keys=[canary-canary-canary]",
		"secrets.key=" + testMasterKey,
		"callbacks.signing_secret=" + testSigningKey,
		"callbacks.proxy=http://canary:canary@proxy:3128",
		"store.dsn=postgres://ringback:canary@db/ringback",
		`providers=[{name: p, base_url: "https://p.example/v1", models: ["*"], api_key: canary, headers: {X-Key: canary}}]`,
		"callbacks.allow_ports=[443, 8000-9000]",
	}})
	require.NoError(t, err)
	var shown bytes.Buffer
	require.NoError(t, cfg.Print(&shown))
	require.NotContains(t, shown.String(), "canary")
	require.NotContains(t, shown.String(), testMasterKey)
	require.NotContains(t, shown.String(), testSigningKey)
	require.Contains(t, shown.String(), "postgres://ringback:***@db/ringback")
	require.Contains(t, shown.String(), "X-Key: \"***\"")

	plain, _, err := LoadConfig(ConfigSources{NoFile: true})
	require.NoError(t, err)
	shown.Reset()
	require.NoError(t, plain.Print(&shown))
	again, _, err := LoadConfig(ConfigSources{File: written(t, shown.String())})
	require.NoError(t, err)
	require.Equal(t, plain, again)
}
