package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/ringback/ringback/store"
)

// storeOptions are those that say where the facts are.
func (c Config) storeOptions() store.Options {
	key, _ := base64.StdEncoding.DecodeString(c.Secrets.Key.Reveal()) // checked with the configuration
	return store.Options{
		Dir: c.DataDir, DSN: c.Store.DSN.Reveal(), Connections: c.Store.Connections, Key: key,
		SigningSecret: c.Callbacks.SigningSecret.Reveal(), Now: time.Now,
	}
}

// The bounds of what is worth a word.
const (
	littleSpace = 5 << 30
	noSpace     = 200 << 20
	clocksApart = 2 * time.Second
)

func checkDatabase(ctx context.Context, p *patient) (findings []finding) {
	say := func(l level, text, do string) { findings = append(findings, finding{"database", l, text, do}) }
	i, err := store.Inspect(ctx, p.cfg.storeOptions())
	if err != nil {
		say(fail, "cannot be read: "+err.Error(), "check store.dsn, that the server runs, and that this machine may connect; or data_dir and who may read it")
		return findings
	}
	switch {
	case i.Fresh:
		say(fine, i.Server+", nothing in it yet: the first serve, or `ringback migrate`, makes the tables", "")
	case i.Version > i.Newest:
		say(fail, fmt.Sprintf("%s, of a later version of ringback (%d; this one knows %d)", i.Server, i.Version, i.Newest), "use that version; an older one would not know what it reads")
	case i.Version < i.Newest:
		say(warn, fmt.Sprintf("%s, version %d; %d is due", i.Server, i.Version, i.Newest), "the next serve brings it up to date, or `ringback migrate` does now")
	default:
		say(fine, fmt.Sprintf("%s, version %d", i.Server, i.Version), "")
	}
	if !i.Fresh && !i.SealOK && p.cfg.Store.DSN == "" && p.cfg.Secrets.Key == "" && i.KeyMode == 0 {
		say(fail, "master.key is missing in data_dir, and its secrets were sealed with it", "put it back, or set secrets.key to what stood in it (base64)")
	} else if !i.Fresh && !i.SealOK {
		say(fail, "its secrets were sealed with another key", "set secrets.key to the one that was used, or put that master.key into data_dir")
	}
	if p.cfg.Store.DSN == "" {
		return append(findings, aboutSQLite(&i)...)
	}
	return append(findings, aboutPostgres(&i, p.cfg.Store.Connections)...)
}

func aboutSQLite(i *store.Inspection) (findings []finding) {
	say := func(check string, l level, text, do string) { findings = append(findings, finding{check, l, text, do}) }
	if i.Integrity != "" && i.Integrity != "ok" {
		say("database", fail, "is damaged: "+i.Integrity, "stop serve, keep a copy of data_dir, and restore the last backup (`ringback restore`)")
	}
	switch text := fmt.Sprintf("%d MB are free where data_dir is", i.Free>>20); {
	case i.Free < noSpace:
		say("disk", fail, text, "make room: submissions are refused with 503 when there is none, and work waits")
	case i.Free < littleSpace:
		say("disk", warn, text, "make room before it is full; `retention` in the configuration says what is kept for how long")
	default:
		say("disk", fine, text, "")
	}
	if i.InUse {
		say("database", fine, "a `ringback serve` is at work on it", "")
	}
	if i.KeyMode&0o077 != 0 {
		say("database", warn, fmt.Sprintf("master.key can be read by others than its owner (mode %o)", i.KeyMode), "chmod 600 master.key")
	}
	return findings
}

func aboutPostgres(i *store.Inspection, connections int) (findings []finding) {
	say := func(check string, l level, text, do string) { findings = append(findings, finding{check, l, text, do}) }
	if i.Standby {
		say("database", fail, "is a standby, and takes no writes", "name the primary in store.dsn, or several hosts with target_session_attrs=read-write")
	}
	if i.Lossy != "" {
		say("database", warn, i.Lossy+": an accepted job may be lost with the machine", "set it to on in postgresql.conf")
	}
	switch {
	case i.Proxied && i.Prepares:
		say("database", warn, "is reached through a pooling proxy, and statements are kept prepared on its connections",
			"where it pools by transaction, add default_query_exec_mode=cache_describe to store.dsn; and migrate over a direct connection")
	case i.Proxied:
		say("database", fine, "is reached through a pooling proxy: migrate over a direct connection", "")
	}
	need := (i.Owners + 1) * (connections + 2)
	if need > i.Connections*9/10 {
		say("database", warn, fmt.Sprintf("takes %d connections; %d processes and this one may want %d", i.Connections, i.Owners, need), "lower store.connections, or raise max_connections")
	}
	say("database", fine, fmt.Sprintf("%d processes of ringback are at work on it", i.Owners), "")
	l, do := fine, ""
	if i.Apart.Abs() > clocksApart {
		l, do = warn, "run an NTP client on both machines: times of retries and of webhook signatures come from this machine's clock"
	}
	say("clock", l, fmt.Sprintf("the database's is %s ahead of this machine's", i.Apart.Round(time.Millisecond)), do)
	return findings
}
