package testservers

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Postgres is a PostgreSQL server. Everybody on this machine may log in to it, as postgres and without a password.
type Postgres struct {
	server
	strategy  string       // of CREATE DATABASE
	databases atomic.Int64 // numbers their names
}

// StartPostgres makes a new cluster and starts its server. Settings are lines of postgresql.conf, such as "fsync=on". By
// default fsync is off, which loses nothing when processes are killed: the kernel keeps what they wrote.
func StartPostgres(settings ...string) (*Postgres, error) {
	bin, err := postgresBin("/usr/lib/postgresql")
	if err != nil {
		return nil, err
	}
	dir, err := newDir()
	if err != nil {
		return nil, err
	}
	p := &Postgres{}
	p.server = server{name: "PostgreSQL", dir: dir, ask: syscall.SIGQUIT, answers: p.answers, end: p.removeSegment}
	p.command = func(port int) *exec.Cmd {
		_ = os.Remove(p.pidFile()) // of a killed server; its number may be another process's by now
		return p.run(filepath.Join(bin, "postgres"), postgresArgs(dir, port, settings)...)
	}
	for _, step := range []func() error{func() error { return p.initialize(bin) }, p.begin, p.chooseStrategy} {
		if err := step(); err != nil {
			return nil, errors.Join(err, p.Stop())
		}
	}
	return p, nil
}

// postgresBin finds the folder of the programs. Debian keeps them out of PATH, in a folder for each version.
func postgresBin(debian string) (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		path, err = filepath.EvalSymlinks(path) // its brothers stand beside the program itself
		return filepath.Dir(path), err
	}
	found, err := filepath.Glob(filepath.Join(debian, "*", "bin", "initdb"))
	if err != nil {
		return "", err
	}
	newest, version := "", -1
	for _, path := range found {
		dir := filepath.Dir(path)
		if v, err := strconv.Atoi(filepath.Base(filepath.Dir(dir))); err == nil && v > version {
			newest, version = dir, v
		}
	}
	if newest == "" {
		return "", errors.New("testservers: found no initdb: install the Debian package postgresql (apt-get install postgresql)")
	}
	return newest, nil
}

func postgresArgs(dir string, port int, settings []string) []string {
	args := []string{"-D", filepath.Join(dir, "data"), "-p", strconv.Itoa(port), "-k", dir}
	defaults := []string{
		"listen_addresses=127.0.0.1", "max_connections=200", "shared_buffers=64MB", "fsync=off", "synchronous_commit=on",
		"dynamic_shared_memory_type=mmap", // files of the folder, which a killed server leaves nowhere else
	}
	for _, s := range append(defaults, settings...) { // the last one counts
		args = append(args, "-c", s)
	}
	return args
}

func (p *Postgres) initialize(bin string) error {
	if err := p.handOver(); err != nil {
		return err
	}
	cmd := p.run(filepath.Join(bin, "initdb"), "-D", filepath.Join(p.dir, "data"), "-U", "postgres", "-A", "trust", "-E", "UTF8",
		"--locale=C", "--no-sync", "--no-instructions")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("testservers: initdb: %w: %s", err, out)
	}
	return nil
}

// run prepares a program of PostgreSQL's. What the environment says of another server is not for it.
func (p *Postgres) run(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(program, args...)
	cmd.Dir = p.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential()}
	for _, v := range append(os.Environ(), "LC_ALL=C") {
		if !strings.HasPrefix(v, "PG") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	return cmd
}

// handOver gives the folder to the user as whom the server runs.
func (p *Postgres) handOver() error {
	c := credential()
	if c == nil {
		return nil
	}
	if err := os.Chown(p.dir, int(c.Uid), int(c.Gid)); err != nil {
		return fmt.Errorf("testservers: folder for PostgreSQL: %w", err)
	}
	return nil
}

// credential says as whom the server runs: it refuses to be root. Nil is this process's own user.
func credential() *syscall.Credential {
	if os.Geteuid() != 0 {
		return nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		if uidErr == nil && gidErr == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		}
	}
	return &syscall.Credential{Uid: 65534, Gid: 65534} // nobody, by tradition
}

func (p *Postgres) dsn(database string) string {
	u := url.URL{Scheme: "postgres", User: url.User("postgres"), Host: address(p.port), Path: "/" + database}
	u.RawQuery = "sslmode=disable"
	return u.String()
}

func (p *Postgres) pidFile() string { return filepath.Join(p.dir, "data", "postmaster.pid") }

// answers knows its own server by its data folder: another one may have taken the port.
func (p *Postgres) answers(int) bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	rows, err := p.exec(ctx, "SHOW data_directory")
	return err == nil && string(rows[0].Rows[0][0]) == filepath.Join(p.dir, "data")
}

// exec runs one statement in the database postgres.
func (p *Postgres) exec(ctx context.Context, sql string) ([]*pgconn.Result, error) {
	conn, err := pgconn.Connect(ctx, p.dsn("postgres"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close(ctx) }()
	return conn.Exec(ctx, sql).ReadAll()
}
