package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A long poll whose time is over before the job could be looked at answers with the job all the same.
func TestShortestWaitIsAnswered(t *testing.T) {
	t.Parallel()
	up := startUpstream(t, func(string) reply { return reply{wait: time.Hour} })
	s := startServer(t, up.provider(""), "server.shutdown_grace=0s")
	job := s.generate("wait", "")
	a := s.call(http.StatusOK, "GET", "/v1/jobs/"+job+"?wait=1ns", "")
	require.Equal(t, job, a.get("id").String())
}
