package testservers

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestS3IsKilledAndStartedAgain(t *testing.T) {
	t.Parallel()
	s, err := StartS3()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	require.Equal(t, http.StatusForbidden, s.refuses(t, s.Endpoint()+"/"+Bucket+"/object"), "nobody reads without keys")
	endpoint := s.Endpoint()
	require.NoError(t, s.Kill())
	_, err = http.Get(endpoint)
	require.Error(t, err)
	require.NoError(t, s.Start())
	require.Equal(t, endpoint, s.Endpoint(), "it comes back where it was")
	require.True(t, strings.HasPrefix(s.URL("b/p"), "s3://b/p?endpoint=http%3A%2F%2F127.0.0.1%3A"))
	require.NotContains(t, s.Log(), s.SecretKey)
}

func TestS3Pauses(t *testing.T) {
	t.Parallel()
	s, err := StartS3()
	require.NoError(t, err)
	require.NoError(t, s.Pause())
	require.False(t, s.isHealthy(0))
	require.NoError(t, s.Resume())
	require.Eventually(t, func() bool { return s.isHealthy(0) }, patience, 10*time.Millisecond)
	require.NoError(t, s.Pause())
	require.NoError(t, s.Stop(), "also a paused one")
	_, err = os.Stat(s.dir)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func (s *S3) refuses(t *testing.T, url string) int {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get(url)
	require.NoError(t, err)
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	require.NoError(t, err)
	return answer.StatusCode
}
