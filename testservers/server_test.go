package testservers

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A server that lost its port says so, and does not take the other's answers for its own.
func TestATakenPortIsNoStart(t *testing.T) {
	t.Parallel()
	for name, pair := range map[string]func(t *testing.T) (one, other *server){
		"PostgreSQL": func(t *testing.T) (one, other *server) { return &startPostgres(t).server, &startPostgres(t).server },
		"Redis":      func(t *testing.T) (one, other *server) { return &startTestRedis(t).server, &startTestRedis(t).server },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one, other := pair(t)
			require.NoError(t, one.Kill())
			one.port = other.port
			require.ErrorIs(t, one.Start(), errEnded)
			require.ErrorContains(t, one.Start(), "in use")
		})
	}
}
