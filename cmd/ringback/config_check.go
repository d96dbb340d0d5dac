package main

import (
	"encoding/base64"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// shortKey is the length below which an API key can be guessed.
const shortKey = 16

// check reports what is readable and yet wrong. A key that could not be read
// is reported once, not again here.
func (l *configLoader) check(cfg Config) {
	l.checkServer(cfg)
	l.checkPlaces(cfg)
	l.checkAuth(cfg)
	l.checkNumbers(cfg)
	l.checkCallbacks(cfg.Callbacks)
	l.checkRetention(cfg.Retention)
	l.checkProviders(cfg)
	l.checkSimulator(cfg.Simulator)
	l.checkTelemetry(cfg.Telemetry)
	l.require(cfg.Log.Format == "text" || cfg.Log.Format == "json", "log.format", "%q is not a form: write text or json", cfg.Log.Format)
}

// require reports a problem unless the condition holds or the key has one
// already.
func (l *configLoader) require(holds bool, key, format string, args ...any) {
	if holds || l.hasProblem(key) {
		return
	}
	l.problem(key, format, args...)
}

func (l *configLoader) hasProblem(key string) bool {
	for _, line := range l.problems {
		rest, found := strings.CutPrefix(line, key)
		if found && (rest[0] == ':' || rest[0] == '[') {
			return true
		}
	}
	return false
}

func (l *configLoader) checkServer(cfg Config) {
	host, port, err := net.SplitHostPort(cfg.Server.Listen)
	_, portErr := strconv.ParseUint(port, 10, 16)
	l.require(err == nil && portErr == nil, "server.listen", "%q is not HOST:PORT, as in 127.0.0.1:8787", cfg.Server.Listen)
	l.require(len(cfg.Auth.Keys) > 0 || isLoopback(host) || l.hasProblem("auth.keys"), "server.listen",
		"%s can be reached from other machines, and without auth.keys anybody may use it: set auth.keys (RINGBACK_AUTH__KEYS='[a-long-random-key]'), or listen on 127.0.0.1", cfg.Server.Listen)
	if cfg.Server.PublicURL != "" {
		l.checkURL("server.public_url", cfg.Server.PublicURL)
	}
	l.checkRoles(cfg)
	l.require(cfg.Server.ShutdownGrace >= 0, "server.shutdown_grace", "is below zero")
}

// isLoopback accepts names and addresses that only this machine reaches; ""
// is every address.
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// checkURL wants an absolute http(s) URL to which paths can be added.
func (l *configLoader) checkURL(key, text string) {
	u, err := url.Parse(text)
	good := err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
	l.require(good, key, "is not a URL as in https://example.com/v1")
	if !good {
		return
	}
	l.require(u.User == nil, key, "carries a user name or password: send them in a header instead")
	l.require(u.RawQuery == "" && u.Fragment == "", key, "must end with its path: no ? and no #")
}

func (l *configLoader) checkPlaces(cfg Config) {
	l.require(cfg.DataDir != "", "data_dir", "is empty: name a folder, as in ./data")
	dsn := cfg.Store.DSN.Reveal()
	l.require(dsn == "" || strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://"), "store.dsn",
		"is not a PostgreSQL URL: write postgres://user:password@host:5432/database, or leave it empty for SQLite")
	l.require(dsn == "" || cfg.Secrets.Key != "", "secrets.key",
		"is empty, and all processes over store.dsn need the same: make one with `openssl rand -base64 32`")
	redis := cfg.Queue.Redis.Reveal()
	scheme, _, _ := strings.Cut(redis, "://")
	l.require(redis == "" || scheme == "redis" || scheme == "rediss" || scheme == "unix", "queue.redis",
		"is not a Redis URL: write redis://HOST:PORT/DB, or rediss:// with TLS")
	l.checkFiles(cfg.Files)
}

func (l *configLoader) checkAuth(cfg Config) {
	seen := map[Secret]bool{}
	for i, key := range cfg.Auth.Keys {
		name := "auth.keys[" + strconv.Itoa(i) + "]"
		l.require(key != "" && !strings.ContainsAny(string(key), " \t\r\n"), name, "is empty or holds spaces")
		l.require(!seen[key], name, "stands twice")
		if key != "" && len(key) < shortKey {
			l.warn(name, "is shorter than %d characters and can be guessed", shortKey)
		}
		seen[key] = true
	}
	if key := cfg.Secrets.Key; key != "" {
		raw, err := base64.StdEncoding.DecodeString(key.Reveal())
		l.require(err == nil && len(raw) == 32, "secrets.key", "is not the base64 of 32 bytes: make one with `openssl rand -base64 32`")
	}
}

func (l *configLoader) checkNumbers(cfg Config) {
	for key, value := range map[string]int64{
		"limits.batch_lines":       int64(cfg.Limits.BatchLines),
		"limits.batch_bytes":       int64(cfg.Limits.BatchBytes),
		"limits.file_bytes":        int64(cfg.Limits.FileBytes),
		"limits.upload_bytes":      int64(cfg.Limits.UploadBytes),
		"limits.upload_part_bytes": int64(cfg.Limits.UploadPartBytes),
		"limits.answer_bytes":      int64(cfg.Limits.AnswerBytes),
		"limits.body_bytes":        int64(cfg.Limits.BodyBytes),
		"limits.event_bytes":       int64(cfg.Limits.EventBytes),
		"store.connections":        int64(cfg.Store.Connections),
		"batches.shard_lines":      int64(cfg.Batches.ShardLines),
		"batches.workers":          int64(cfg.Batches.Workers),
		"jobs.workers":             int64(cfg.Jobs.Workers),
		"callbacks.workers":        int64(cfg.Callbacks.Workers),
		"callbacks.per_receiver":   int64(cfg.Callbacks.PerReceiver),
	} {
		l.require(value > 0, key, "is %d: it must be at least 1", value)
	}
}

func (l *configLoader) checkSimulator(s SimulatorConfig) {
	l.require(s.TTFT >= 0, "simulator.ttft", "is below zero")
	l.require(s.TPOT >= 0, "simulator.tpot", "is below zero")
	l.require(s.Tuning > 0, "simulator.tuning", "is not above zero")
	l.require(s.Fail >= 0 && s.Fail <= 1, "simulator.fail", "is %v: it is a share from 0 to 1", s.Fail)
	l.require(s.RPM >= 0, "simulator.rpm", "is below zero; 0 means no limit")
	l.require(s.Burst >= 0, "simulator.burst", "is below zero; 0 means a sixtieth of simulator.rpm")
}
