package testservers

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
)

// tether ends a server when the thread that started it does: a panic or a kill passes by every clean-up.
func tether(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
}

// processes reads /proc (proc(5)); who ends meanwhile is left out.
func processes() ([]row, error) {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	rows := make([]row, 0, len(files))
	for _, file := range files {
		if stat, err := os.ReadFile(file); err == nil {
			rows = append(rows, parseStat(stat))
		}
	}
	return rows, nil
}

// parseStat reads "pid (name) state parent …"; a name may hold spaces and brackets.
func parseStat(stat []byte) row {
	pid, _, _ := bytes.Cut(stat, []byte(" ("))
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	r := row{stopped: fields[0][0] == 'T', dead: fields[0][0] == 'Z' || fields[0][0] == 'X'}
	r.pid, _ = strconv.Atoi(string(pid))
	r.parent, _ = strconv.Atoi(string(fields[1]))
	return r
}
