package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestProbesCostOneQuestion(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked, answer := 0, errors.New("away")
		l := lately{ask: func(ctx context.Context) error { asked++; return errors.Join(answer, ctx.Err()) }}
		given, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, l.Answer(given), context.Canceled)
		for range 3 {
			require.ErrorIs(t, l.Answer(t.Context()), answer)
			require.NotErrorIs(t, l.Answer(t.Context()), context.Canceled, "nobody hears of another's impatience")
		}
		require.Equal(t, 2, asked)
		answer = nil
		require.Error(t, l.Answer(t.Context()))
		time.Sleep(latelyFor)
		require.NoError(t, l.Answer(t.Context()))
		require.Equal(t, 3, asked)
	})
}

func TestFilesURL(t *testing.T) {
	t.Parallel()
	const bucket = "files.url=s3://bucket/team/a?endpoint=http://127.0.0.1:9000&region=eu-north-1"
	cfg, warnings, err := LoadConfig(ConfigSources{NoFile: true, Environ: []string{
		"RINGBACK_FILES__ACCESS_KEY=AKIACANARY", "RINGBACK_FILES__SECRET_KEY=canary",
	}, Set: []string{bucket}})
	require.NoError(t, err)
	require.Empty(t, warnings)
	o, err := cfg.Files.s3()
	require.NoError(t, err)
	require.Equal(t, "bucket team/a http://127.0.0.1:9000 eu-north-1 AKIACANARY canary",
		o.Bucket+" "+o.Prefix+" "+o.Endpoint+" "+o.Region+" "+o.AccessKey+" "+o.SecretKey)

	for name, test := range map[string]struct{ set, want string }{
		"no bucket":           {"files.url=/var/files", "files.url: is not a bucket's URL"},
		"keys in the address": {"files.url=s3://AKIA:canary@bucket", "files.url: carries keys"},
		"an unknown word":     {"files.url=s3://bucket?secret_key=canary", "files.url: has a secret_key after the ?"},
		"half of the keys":    {"files.access_key=AKIA", "files.secret_key: and files.access_key belong together"},
	} {
		found := problems(t, ConfigSources{NoFile: true, Set: []string{bucket, test.set}})
		require.True(t, begins(found, test.want), "%s: %q", name, found)
		require.NotContains(t, found[0], "canary", name)
	}
	require.True(t, begins(problems(t, ConfigSources{NoFile: true, Set: []string{"files.access_key=AKIA", "files.secret_key=x"}}),
		"files.access_key: is of no use without files.url"))

	_, warnings, err = LoadConfig(ConfigSources{NoFile: true, Set: []string{"files.url=s3://bucket?endpoint=http://10.0.0.7:9000"}})
	require.NoError(t, err)
	require.True(t, begins(warnings, "files.url: sends files to 10.0.0.7:9000 without encryption"), "%q", warnings)
}
