package testservers

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A killed test runs no clean-up. Its servers end all the same, also what a pause had stopped.
func TestServersDieWithTheirCaller(t *testing.T) {
	t.Parallel()
	for _, state := range []string{"running", "paused"} {
		t.Run(state, func(t *testing.T) {
			t.Parallel()
			caller := exec.Command(os.Args[0])
			caller.Env = append(os.Environ(), doomed+"="+state)
			out, err := caller.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, caller.Start())
			line, err := bufio.NewReader(out).ReadString('\n')
			require.NoError(t, caller.Process.Kill())
			_ = caller.Wait()
			require.NoError(t, err, line)

			fields := strings.Fields(strings.NewReplacer("[", "", "]", "").Replace(line))
			left := &Postgres{server: server{dir: fields[0]}}
			left.end = left.removeSegment
			defer left.Stop()
			defer os.RemoveAll(fields[1])
			var pids []int
			for _, f := range fields[2:] {
				var pid int
				_, err := fmt.Sscan(f, &pid)
				require.NoError(t, err)
				pids = append(pids, pid)
			}
			require.Greater(t, len(pids), 4, "Redis, and PostgreSQL with children")
			require.NoError(t, gone(pids))
		})
	}
}

func TestParseStat(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		stat string
		want row
	}{
		{"12 (postgres) S 1 12 12 0", row{pid: 12, parent: 1}},
		{"13 (a) T (b) T 12 12", row{pid: 13, parent: 12, stopped: true}},
		{"14 (sh) Z 13 12", row{pid: 14, parent: 13, dead: true}},
	} {
		require.Equal(t, tc.want, parseStat([]byte(tc.stat)))
	}
}
