package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTelemetrySettings(t *testing.T) {
	t.Parallel()
	cfg, _, err := LoadConfig(ConfigSources{NoFile: true})
	require.NoError(t, err)
	require.Equal(t, TelemetryConfig{Headers: []Secret{}, Sample: 1, ToProviders: true}, cfg.Telemetry, "off, and traces pass")

	cfg, warnings, err := LoadConfig(ConfigSources{NoFile: true, Environ: []string{"TOKEN=t:1"}, Set: []string{
		"telemetry.otlp_endpoint=https://collector.example/otlp", "telemetry.sample=0.25",
		`telemetry.headers=["Authorization: Bearer ${TOKEN}", "X-Tenant:a"]`,
	}})
	require.NoError(t, err)
	require.NotContains(t, strings.Join(warnings, " "), "t:1")
	require.Equal(t, map[string]string{"Authorization": "Bearer t:1", "X-Tenant": "a"}, cfg.Telemetry.headers())
	var shown strings.Builder
	require.NoError(t, cfg.Print(&shown))
	require.NotContains(t, shown.String(), "t:1")
}

func TestTelemetrySettingsThatAreWrong(t *testing.T) {
	t.Parallel()
	for setting, key := range map[string]string{
		"telemetry.otlp_endpoint=localhost:4318":             "telemetry.otlp_endpoint",
		"telemetry.otlp_endpoint=http://u:canary@localhost":  "telemetry.otlp_endpoint",
		"telemetry.otlp_endpoint=http://localhost/?k=canary": "telemetry.otlp_endpoint",
		"telemetry.sample=1.5":                               "telemetry.sample",
		"telemetry.sample=-1":                                "telemetry.sample",
		`telemetry.headers=["canary"]`:                       "telemetry.headers[0]",
		`telemetry.headers=["A: b", "not a name: canary"]`:   "telemetry.headers[1]",
		`telemetry.headers=["A: b\nC: canary"]`:              "telemetry.headers[0]",
	} {
		found := problems(t, ConfigSources{NoFile: true, Set: []string{setting}})
		require.Len(t, found, 1, setting)
		require.True(t, strings.HasPrefix(found[0], key+":"), "%s: %s", setting, found[0])
		require.NotContains(t, found[0], "canary")
	}
}
