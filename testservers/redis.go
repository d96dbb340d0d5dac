package testservers

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

// Redis is a Redis server that keeps nothing over a Kill, unless its arguments say so.
type Redis struct {
	server
}

// StartRedis starts a Redis. Args are arguments of redis-server, such as "--appendonly", "yes".
func StartRedis(args ...string) (*Redis, error) {
	path, err := redisServer()
	if err != nil {
		return nil, err
	}
	dir, err := newDir()
	if err != nil {
		return nil, err
	}
	r := &Redis{server{name: "Redis", dir: dir}}
	r.answers = r.isProcess
	r.command = func(port int) *exec.Cmd {
		defaults := []string{
			"--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--dir", dir, "--save", "", "--appendonly", "no",
			"--repl-diskless-sync-delay", "0", // a replica waits for no others
		}
		return exec.Command(path, append(defaults, args...)...)
	}
	return r, r.begin()
}

func redisServer() (string, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return "", fmt.Errorf("testservers: %w: install the Debian package redis-server (apt-get install redis-server)", err)
	}
	return path, nil
}

// URL is how clients reach the server: redis://127.0.0.1:port/0.
func (r *Redis) URL() string { return "redis://" + address(r.port) + "/0" }

// Flush removes everything (FLUSHALL).
func (r *Redis) Flush() error {
	_, err := call(r.port, "FLUSHALL")
	return err
}

// Replica starts a Redis that follows this one, and returns when it has what this one has.
func (r *Redis) Replica() (*Redis, error) {
	replica, err := StartRedis("--replicaof", "127.0.0.1 "+strconv.Itoa(r.port))
	if err != nil {
		return nil, err
	}
	err = poll(func() (bool, error) {
		info, err := call(replica.port, "INFO", "replication")
		return strings.Contains(info, "master_link_status:up"), err
	})
	if err != nil {
		_ = replica.Stop()
		return nil, fmt.Errorf("testservers: the replica does not follow: %w", err)
	}
	return replica, nil
}

// isProcess knows its own server by its process: another one may have taken the port. While it reads what it has kept, it is not
// there yet.
func (s *server) isProcess(pid int) bool {
	info, err := call(s.port, "INFO")
	return err == nil && strings.Contains(info, fmt.Sprintf("\nprocess_id:%d\r\n", pid)) && !strings.Contains(info, "\nloading:1\r\n")
}
