package e2e

import (
	"net/http"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
)

// TestReadyzShowsADatabaseThatTakesNoWrites: reads work still, and the answer comes in time.
func TestReadyzShowsADatabaseThatTakesNoWrites(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	a := s.call(http.StatusOK, "GET", "/readyz", "")
	require.Equal(t, "ok", a.get("status").Str, string(a.body))
	for _, name := range []string{"database", "queue", "files", "provider simulator"} {
		require.Equal(t, "ok", a.get("checks."+name+".status").Str, string(a.body))
		require.Equal(t, gjson.Number, a.get("checks."+name+".ms").Type)
	}
	release := holdWriteLock(t, s.dir)
	s.eventually("it says so", func() bool {
		a, err := s.do("GET", "/readyz", nil)
		return err == nil && a.status == http.StatusServiceUnavailable && a.get("checks.database.status").Str == "failed"
	})
	s.call(http.StatusOK, "GET", "/v1/jobs", "")
	release()
	s.eventually("it is well again", func() bool {
		a, err := s.do("GET", "/readyz", nil)
		return err == nil && a.status == http.StatusOK
	})
}

// TestReadyzTakesNoSubmissionsAwayForTheQueue: what is submitted while Redis is away is accepted, and ready says so.
func TestReadyzTakesNoSubmissionsAwayForTheQueue(t *testing.T) {
	t.Parallel()
	s := startServer(t, startUpstream(t, nil).provider(""), "queue.redis=unix://"+filepath.Join(t.TempDir(), "none.sock"))
	a := s.call(http.StatusOK, "GET", "/readyz", "")
	require.Equal(t, "degraded", a.get("status").Str, string(a.body))
	require.Equal(t, "failed", a.get("checks.queue.status").Str, string(a.body))
	s.generate("hello", "")
}
