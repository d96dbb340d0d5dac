package testservers

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// removeSegment removes the System V memory by which a postmaster knows whether an older one's children live. A killed one
// leaves it to the machine, which has room for some thousand.
func (p *Postgres) removeSegment() {
	if id, found := p.segment(); found {
		_, _ = unix.SysvShmCtl(id, unix.IPC_RMID, nil)
	}
}

// segment reads the number of that memory: the last in line 7 of postmaster.pid (miscadmin.h, LOCK_FILE_LINE_SHMEM_KEY), which a
// server that ended by itself has removed.
func (p *Postgres) segment() (id int, found bool) {
	pidFile, err := os.ReadFile(p.pidFile())
	if err != nil {
		return 0, false
	}
	lines := strings.Split(string(pidFile), "\n")
	if len(lines) < 7 {
		return 0, false
	}
	numbers := strings.Fields(lines[6])
	if len(numbers) != 2 {
		return 0, false
	}
	id, err = strconv.Atoi(numbers[1])
	return id, err == nil
}
