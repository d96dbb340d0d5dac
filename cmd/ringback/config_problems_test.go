package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestProblems(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		set  []string
		want []string // the beginning of each problem
	}{
		{"unknown key with the one meant", []string{"callbacks.allow_htp=true"}, []string{"callbacks.allow_htp: unknown key in --set; callbacks.allow_http is meant?"}},
		{"unknown key in the wrong place", []string{"allow_http=true"}, []string{"allow_http: unknown key in --set; callbacks.allow_http is meant?"}},
		{"unknown key like no other", []string{"zebra.stripes=9"}, []string{"zebra: unknown key in --set"}},
		{"unknown key in a list", []string{`providers=[{name: p, base_url: "https://p/v1", models: ["*"], api_ky: x}]`}, []string{"providers[0].api_ky: unknown key in --set; providers[0].api_key is meant?"}},
		{"a section set to a value", []string{"callbacks=5"}, []string{"callbacks: is a group of settings"}},
		{"not a pair", []string{"callbacks.timeout"}, []string{`--set: "callbacks.timeout" is not KEY=VALUE`}},
		{"duration without a unit", []string{"callbacks.timeout=10"}, []string{"callbacks.timeout: 10 is not a duration"}},
		{"attempt too long", []string{"callbacks.timeout=31s"}, []string{"callbacks.timeout: is 31s"}},
		{"no schedule", []string{"callbacks.schedule=[]"}, []string{"callbacks.schedule: is empty"}},
		{"size", []string{"limits.batch_bytes=lots"}, []string{`limits.batch_bytes: "lots" is not a size`}},
		{"nothing allowed", []string{"limits.batch_lines=0"}, []string{"limits.batch_lines: is 0"}},
		{"port", []string{"callbacks.allow_ports=[70000]"}, []string{"callbacks.allow_ports[0]: 70000 is not a port"}},
		{"ports backwards", []string{"callbacks.allow_ports=[9000-8000]"}, []string{`callbacks.allow_ports[0]: "9000-8000" is a range that ends before`}},
		{"network", []string{"callbacks.allow_cidrs=[10.0.0.1]"}, []string{`callbacks.allow_cidrs[0]: "10.0.0.1" is not a network`}},
		{"not a list", []string{"callbacks.allow_ports=443"}, []string{"callbacks.allow_ports: wants a list"}},
		{"not a truth value", []string{"callbacks.allow_http=1"}, []string{"callbacks.allow_http: wants true or false"}},
		{"reserved header", []string{"callbacks.body_signature_header=Webhook-Signature"}, []string{"callbacks.body_signature_header: names that begin with webhook-"}},
		{"signing secret", []string{"callbacks.signing_secret=whsec_short"}, []string{"callbacks.signing_secret: is not whsec_"}},
		{"master key", []string{"secrets.key=c2hvcnQ="}, []string{"secrets.key: is not the base64 of 32 bytes"}},
		{"certificate file", []string{"callbacks.ca_file=/nowhere/ca.pem"}, []string{"callbacks.ca_file: cannot be read"}},
		{"proxy", []string{"callbacks.proxy=socks5://u:canary@proxy:1080"}, []string{"callbacks.proxy: is not a proxy's URL: write http://host:port"}},
		{"level", []string{"log.level=loud"}, []string{`log.level: "loud" is not a level`}},
		{"format", []string{"log.format=xml"}, []string{`log.format: "xml" is not a form`}},
		{"share", []string{"simulator.fail=1.5"}, []string{"simulator.fail: is 1.5"}},
		{"no time", []string{"simulator.tuning=0s"}, []string{"simulator.tuning: is not above zero"}},
		{"open listen without keys", []string{"server.listen=0.0.0.0:8787"}, []string{"server.listen: 0.0.0.0:8787 can be reached"}},
		{"every address without keys", []string{"server.listen=:8787"}, []string{"server.listen: :8787 can be reached"}},
		{"listen", []string{"server.listen=8787"}, []string{`server.listen: "8787" is not HOST:PORT`}},
		{"public URL", []string{"server.public_url=ftp://x"}, []string{"server.public_url: is not a URL"}},
		{"redis", []string{"queue.redis=localhost:6379"}, []string{"queue.redis: is not a Redis URL"}},
		{"unset variable", []string{"data_dir=${RINGBACK_TEST_UNSET}/x"}, []string{"data_dir: names ${RINGBACK_TEST_UNSET}, but the environment variable RINGBACK_TEST_UNSET is not set"}},
		{"broken variable", []string{"data_dir=${x"}, []string{"data_dir: has a ${"}},
		{"provider", []string{`providers=[{name: "A b", type: other, base_url: nope, concurrency: 0, per_process: -1, models: ["["]}]`}, []string{
			"providers[0].name", "providers[0].type", "providers[0].base_url", "providers[0].models[0]", "providers[0].concurrency", "providers[0].per_process",
		}},
		{"key stands twice", []string{"auth.keys=[long-enough-key-one, long-enough-key-one]"}, []string{"auth.keys[1]: stands twice"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			found := problems(t, ConfigSources{NoFile: true, Set: test.set})
			for _, want := range test.want {
				require.True(t, begins(found, want), "no problem begins with %q in %q", want, found)
			}
			require.Len(t, found, len(test.want), "%q", found)
			require.NotContains(t, strings.Join(found, "\n"), "canary", "no problem shows a password")
		})
	}
}

func begins(lines []string, prefix string) bool {
	for _, line := range lines {
		if strings.HasPrefix(line, prefix) {
			return true
		}
	}
	return false
}

func TestAllProblemsAtOnce(t *testing.T) {
	t.Parallel()
	file := written(t, "callbacks:\n  timeout: soon\n  retrys: 3\nlog: {level: loud}\n")
	_, _, err := LoadConfig(ConfigSources{
		File:    file,
		Environ: []string{"RINGBACK_LIMITS__BATCH_LINES=many", "RINGBACK_STORRE__DSN=x"},
		Set:     []string{"server.listen=0.0.0.0:80"},
	})
	require.ErrorContains(t, err, "6 problems")
	for _, key := range []string{
		"callbacks.timeout: ", "callbacks.retrys: unknown key in " + file, "log.level: ",
		"limits.batch_lines: ", "storre: unknown key in RINGBACK_STORRE__DSN; store is meant?", "server.listen: ",
	} {
		require.ErrorContains(t, err, "\n  "+key)
	}
}

func TestKeysOpenTheListener(t *testing.T) {
	t.Parallel()
	for _, set := range [][]string{
		{"server.listen=0.0.0.0:8787", "auth.keys=[a-key-of-enough-length]"},
		{"server.listen=localhost:0"},
		{"server.listen=[::1]:8787"},
		{"server.listen=127.8.8.8:1"},
	} {
		_, _, err := LoadConfig(ConfigSources{NoFile: true, Set: set})
		require.NoError(t, err, "%q", set)
	}
}

func TestUnreadableFiles(t *testing.T) {
	t.Parallel()
	require.True(t, begins(problems(t, ConfigSources{File: "/nowhere/ringback.yaml"}), "--config: open /nowhere"))
	path := written(t, "callbacks: [\n")
	found := problems(t, ConfigSources{File: path})
	require.True(t, begins(found, path+": not readable as YAML: "), "%q", found)
	require.NotContains(t, found[0], "\n")
	path = written(t, "callbacks:\n  workers: 1\n  workers: 2\n")
	require.True(t, begins(problems(t, ConfigSources{File: path}), path+": not readable as YAML: "), "a key that stands twice")
	_, _, err := LoadConfig(ConfigSources{File: written(t, "# nothing but this\n")})
	require.NoError(t, err)
}

func TestSecretSources(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(path, []byte(testMasterKey+"\n"), 0o600))
	for _, test := range []struct {
		name    string
		sources ConfigSources
		warned  bool
	}{
		{"a file", ConfigSources{Set: []string{"secrets.key=file:" + path}}, false},
		{"a variable", ConfigSources{Set: []string{"secrets.key=${MASTER}"}, Environ: []string{"MASTER=" + testMasterKey}}, false},
		{"a variable that names a file", ConfigSources{Set: []string{"secrets.key=${MASTER}"}, Environ: []string{"MASTER=file:" + path}}, false},
		{"the environment", ConfigSources{Environ: []string{"RINGBACK_SECRETS__KEY=" + testMasterKey}}, false},
		{"a literal", ConfigSources{Set: []string{"secrets.key=" + testMasterKey}}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.sources.NoFile = true
			cfg, warnings, err := LoadConfig(test.sources)
			require.NoError(t, err)
			require.Equal(t, testMasterKey, cfg.Secrets.Key.Reveal())
			require.Equal(t, test.warned, begins(warnings, "secrets.key: this secret stands in clear"), "%q", warnings)
			require.NotContains(t, strings.Join(warnings, "\n"), testMasterKey)
		})
	}
	require.True(t, begins(problems(t, ConfigSources{NoFile: true, Set: []string{"secrets.key=file:/nowhere/key"}}), "secrets.key: the secret's file cannot be read"))
}

func TestExpansion(t *testing.T) {
	t.Parallel()
	cfg, _, err := LoadConfig(ConfigSources{
		File:    written(t, "data_dir: ${HOME_DIR}/$$1/$plain\njobs: {workers: \"${WORKERS}\"}\ncallbacks: {timeout: \"${T}\"}\n"),
		Environ: []string{"HOME_DIR=/srv", "WORKERS=7", "T=4s"},
	})
	require.NoError(t, err)
	require.Equal(t, "/srv/$1/$plain", cfg.DataDir)
	require.Equal(t, 7, cfg.Jobs.Workers)
	require.Equal(t, "4s", cfg.Callbacks.Timeout.String())
}
