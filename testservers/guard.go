package testservers

import (
	"fmt"
	"os/exec"
	"strconv"
	"syscall"
)

// guard kills stopped processes when this one dies: the tether ends their parent, and they, being stopped, would not notice.
// It is a shell that reads a pipe whose other end dies with us.
type guard struct {
	cmd *exec.Cmd
}

func watch(pids []int) (*guard, error) {
	args := []string{"-c", `read -r _; kill -KILL "$@"`, "guard"}
	for _, pid := range pids {
		args = append(args, strconv.Itoa(pid))
	}
	cmd := exec.Command("/bin/sh", args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt from the terminal is not for the guard
	_, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("testservers: guard of a paused server: %w", err)
	}
	return &guard{cmd: cmd}, nil
}

// dismiss ends the guard without a shot.
func (g *guard) dismiss() {
	_ = g.cmd.Process.Kill()
	_ = g.cmd.Wait()
}
