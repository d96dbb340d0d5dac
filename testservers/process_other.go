//go:build unix && !linux

package testservers

import (
	"bufio"
	"bytes"
	"fmt"
	"os/exec"
)

// tether does nothing here: a server that nobody stopped outlives a killed test.
func tether(*exec.Cmd) {}

func processes() ([]row, error) {
	out, err := exec.Command("ps", "-A", "-o", "pid=,ppid=,state=").Output()
	if err != nil {
		return nil, fmt.Errorf("testservers: list processes: %w", err)
	}
	var rows []row
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		var r row
		var state string
		if _, err := fmt.Sscan(lines.Text(), &r.pid, &r.parent, &state); err == nil {
			r.stopped, r.dead = state[0] == 'T', state[0] == 'Z'
			rows = append(rows, r)
		}
	}
	return rows, nil
}
