package main

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestByteSize(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]ByteSize{
		"0": 0, "1024": 1024, "200MB": 200_000_000, "16MiB": 16 << 20, "1.5GB": 1_500_000_000,
		"256 kib": 256 << 10, "2GiB": 2 << 30, "12b": 12, "3KB": 3000,
	} {
		var size ByteSize
		require.NoError(t, size.UnmarshalText([]byte(text)), text)
		require.Equal(t, want, size, text)
		require.NoError(t, size.UnmarshalText([]byte(want.String())))
		require.Equal(t, want, size, "what is written can be read")
	}
	for _, text := range []string{"", "MB", "-1", "5 parsecs", "99999999999GB", "1e6", "0x10"} {
		var size ByteSize
		require.Error(t, size.UnmarshalText([]byte(text)), text)
	}
}

func TestPortRange(t *testing.T) {
	t.Parallel()
	var ports PortRange
	require.NoError(t, ports.UnmarshalText([]byte("8000-9000")))
	for port, inside := range map[uint16]bool{7999: false, 8000: true, 9000: true, 9001: false} {
		require.Equal(t, inside, ports.Contains(port), port)
	}
	require.Equal(t, "8000-9000", ports.String())
	for _, text := range []string{"", "0", "65536", "-1", "a", "1-", "9-8"} {
		require.Error(t, ports.UnmarshalText([]byte(text)), text)
	}
}

func TestSecretsAreNeverShown(t *testing.T) {
	t.Parallel()
	for _, hidden := range []any{
		Secret("canary"),
		Address("redis://user:canary@host/0"),
		Address("host=db user=u password=canary dbname=x"),
		Address("file:x.db?_auth_pass=canary"),
		AuthConfig{Keys: []Secret{"canary"}},
		ProviderConfig{APIKey: "canary", Headers: map[string]Secret{"X": "canary"}},
	} {
		asJSON, err := json.Marshal(hidden)
		require.NoError(t, err)
		shown := fmt.Sprintf("%v %+v %#v %s %s", hidden, hidden, hidden, hidden, asJSON)
		require.NotContains(t, shown, "canary")
		require.Contains(t, shown, masked)
	}
	require.Empty(t, Secret("").String())
	require.Equal(t, "redis://host/0", Address("redis://host/0").String())
}

func TestShortDuration(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0s", 10 * time.Second: "10s", 5 * time.Minute: "5m", 2 * time.Hour: "2h",
		90 * time.Minute: "1h30m", 10*time.Minute + 10*time.Second: "10m10s", 150 * time.Millisecond: "150ms",
		24 * time.Hour: "1d", 720 * time.Hour: "30d", 36 * time.Hour: "36h",
	} {
		require.Equal(t, want, shortDuration(d))
	}
}

func TestDurationsInDays(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"30d": 720 * time.Hour, "1d12h": 36 * time.Hour, "0d": 0, "0": 0, "90m": 90 * time.Minute, "36500d": 36500 * 24 * time.Hour,
	} {
		d, err := parseDuration(text)
		require.NoError(t, err, text)
		require.Equal(t, want, d, text)
	}
	for _, text := range []string{"", "d", "-1d", "1.5d", "1d-1h", "1d24h", "1dd", "99999d", "1w", "30 d"} {
		_, err := parseDuration(text)
		require.Error(t, err, text)
	}
}

func TestRetention(t *testing.T) {
	t.Parallel()
	cfg, _, err := LoadConfig(ConfigSources{NoFile: true})
	require.NoError(t, err)
	require.Equal(t, RetentionConfig{0, 30 * day, 30 * day, 30 * day, 90 * day}, cfg.Retention)
	for _, tt := range []struct{ set, problem string }{
		{"retention.files=59s", "retention.files: is 59s: it must be at least 1m"},
		{"retention.results=-1h", "retention.results: is -1h"},
		{"retention.events=31d", "retention.attempts: is 30d, and retention.events 31d"},
		{"retention.events=0", "retention.attempts: is 30d, and retention.events 0 (for ever)"},
		{"retention.jobs=29d", "retention.jobs: is 29d, and retention.events 30d"},
	} {
		require.Contains(t, problems(t, ConfigSources{NoFile: true, Set: []string{tt.set}})[0], tt.problem)
	}
	for _, set := range [][]string{
		{"retention.events=0", "retention.attempts=0", "retention.jobs=0"},
		{"retention.attempts=0", "retention.jobs=0", "retention.results=0"},
		{"retention.events=1m", "retention.attempts=1m", "retention.jobs=1m", "retention.results=1m", "retention.files=1m"},
	} {
		_, _, err := LoadConfig(ConfigSources{NoFile: true, Set: set})
		require.NoError(t, err)
	}
}
