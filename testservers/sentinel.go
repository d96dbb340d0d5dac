package testservers

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// masterName is how clients ask the sentinel for the master.
const masterName = "ringback"

// Sentinel watches a Redis and its replicas, and makes a replica the master where the master has been silent for 500 ms: it needs
// nobody's agreement. All of it takes about two seconds.
type Sentinel struct {
	server
}

// StartSentinel starts a sentinel, and returns when it knows the master's replicas: start those first.
func StartSentinel(master *Redis) (*Sentinel, error) {
	path, err := redisServer()
	if err != nil {
		return nil, err
	}
	dir, err := newDir()
	if err != nil {
		return nil, err
	}
	s := &Sentinel{server{name: "Redis Sentinel", dir: dir}}
	s.answers = s.isProcess
	config := filepath.Join(dir, "sentinel.conf") // the sentinel keeps there what it knows
	s.command = func(port int) *exec.Cmd {
		return exec.Command(path, config, "--sentinel", "--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--dir", dir)
	}
	for _, step := range []func() error{
		func() error { return configure(config, master) }, s.begin, func() error { return s.discover(master) },
	} {
		if err := step(); err != nil {
			return nil, errors.Join(err, s.Stop())
		}
	}
	return s, nil
}

func configure(file string, master *Redis) error {
	config := fmt.Sprintf(`sentinel monitor %[1]s 127.0.0.1 %[2]d 1
sentinel down-after-milliseconds %[1]s 500
sentinel failover-timeout %[1]s 5000
`, masterName, master.port)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return fmt.Errorf("testservers: configuration of a sentinel: %w", err)
	}
	return nil
}

// discover waits until the sentinel knows as many replicas as the master has.
func (s *Sentinel) discover(master *Redis) error {
	err := poll(func() (bool, error) {
		replication, err := call(master.port, "INFO", "replication")
		if err != nil {
			return false, err
		}
		_, replicas, _ := strings.Cut(replication, "\nconnected_slaves:")
		replicas, _, _ = strings.Cut(replicas, "\r\n")
		known, err := call(s.port, "INFO", "sentinel")
		return strings.Contains(known, "status=ok") && strings.Contains(known, ",slaves="+replicas+","), err
	})
	if err != nil {
		return fmt.Errorf("testservers: the sentinel does not find the master's replicas: %w", err)
	}
	return nil
}

// URL is how clients find the master, whichever it is: redis://127.0.0.1:port/0?master_name=ringback.
func (s *Sentinel) URL() string { return "redis://" + address(s.port) + "/0?master_name=" + masterName }
