package testservers

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// doomed is set in the process that TestServersDieWithTheirCaller starts and kills.
const doomed = "TESTSERVERS_DOOMED"

// TestMain checks that whoever was stopped left no goroutine behind.
func TestMain(m *testing.M) {
	if os.Getenv(doomed) != "" {
		if err := waitForDeath(os.Getenv(doomed) == "paused"); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	goleak.VerifyTestMain(m)
}

// waitForDeath starts servers, says what they are, and never returns well.
func waitForDeath(paused bool) error {
	p, err := StartPostgres()
	if err != nil {
		return err
	}
	r, err := StartRedis()
	if err != nil {
		return err
	}
	family, err := p.proc.family()
	if err != nil {
		return err
	}
	if paused {
		if err := p.Pause(); err != nil {
			return err
		}
	}
	fmt.Println(p.dir, r.dir, r.proc.cmd.Process.Pid, family)
	select {}
}
