package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/ringback/ringback/jobs"
	"github.com/ringback/ringback/jobs/queue"
	"github.com/ringback/ringback/providers"
	"github.com/ringback/ringback/store"
)

// slowQueue is how long an answer of Redis may take without a word.
const slowQueue = 5 * time.Millisecond

func checkQueue(ctx context.Context, p *patient) (findings []finding) {
	say := func(l level, text, do string) { findings = append(findings, finding{"queue", l, text, do}) }
	rawURL := p.cfg.Queue.Redis.Reveal()
	if rawURL == "" {
		say(fine, "embedded in the process", "")
		return findings
	}
	i, err := queue.Inspect(ctx, rawURL)
	if err != nil {
		say(fail, "Redis does not answer: "+err.Error(), "check queue.redis, and that the server runs; until it does, work is found by looking, twice a second")
		return findings
	}
	say(fine, fmt.Sprintf("Redis %s answers in %s", i.Version, i.Took.Round(10*time.Microsecond)), "")
	if !newer(i.Version, 6, 2) {
		say(fail, "Redis "+i.Version+" is too old", "use 6.2 or later")
	}
	if i.Policy != "" && i.Policy != "noeviction" {
		say(warn, "maxmemory-policy is "+i.Policy+": wake-ups may be thrown away, and work then begins late", "set it to noeviction, or give the queue a Redis of its own")
	}
	if i.Took > slowQueue {
		say(warn, "an answer takes long", "put Redis near the workers: each job is a few round trips")
	}
	return findings
}

// newer tells whether a version is one or later.
func newer(version string, major, minor int) bool {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return true // not a version as Redis writes it: another server that speaks its protocol
	}
	a, errA := strconv.Atoi(parts[0])
	b, errB := strconv.Atoi(parts[1])
	return errA != nil || errB != nil || a > major || a == major && b >= minor
}

// checkFiles writes, reads and removes a small file.
func checkFiles(ctx context.Context, p *patient) []finding {
	one := func(l level, text, do string) []finding { return []finding{{"files", l, text, do}} }
	if p.cfg.Files.URL == "" {
		return checkFolder(ctx, filepath.Join(p.cfg.DataDir, store.FilesDir))
	}
	files, err := openFiles(ctx, p.cfg, quietLog())
	if err != nil {
		return one(fail, "cannot be opened: "+err.Error(), "check files.url and its keys")
	}
	defer files.Close() //nolint:errcheck // it was only looked at
	key, content := "doctor/"+jobs.NewID(""), []byte("ringback doctor")
	if _, err = files.Put(ctx, key, bytes.NewReader(content)); err == nil {
		err = sameBytes(ctx, files, key, content)
		if removed := files.Remove(ctx, key); err == nil {
			err = removed
		}
	}
	if err != nil {
		return one(fail, "the bucket does not keep a file: "+err.Error(), "see that the server answers this machine, and that the keys may write, read and delete there")
	}
	return one(fine, "the bucket takes, gives and removes a file", "")
}

// checkFolder writes and removes a small file in the folder for files. Where there is none yet it makes none.
func checkFolder(ctx context.Context, dir string) []finding {
	one := func(l level, text, do string) []finding { return []finding{{"files", l, text, do}} }
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return one(fine, "the folder in data_dir is made at the first start", "")
	}
	folder, err := store.OpenFolderBeside(dir)
	if err == nil {
		err = errors.Join(folder.Ping(ctx), folder.Close())
	}
	if err != nil {
		return one(fail, "the folder in data_dir does not keep a file: "+err.Error(), "see that its user may write there, and that there is room")
	}
	return one(fine, "the folder in data_dir takes and removes a file", "")
}

func sameBytes(ctx context.Context, files store.Files, key string, want []byte) error {
	r, err := files.Open(ctx, key, 0)
	if err != nil {
		return err
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err == nil && !bytes.Equal(got, want) {
		err = fmt.Errorf("it gives other bytes back than it took")
	}
	return err
}

func checkProviders(ctx context.Context, p *patient) (findings []finding) {
	say := func(l level, text, do string) { findings = append(findings, finding{"providers", l, text, do}) }
	if p.cfg.Simulator.Enabled {
		say(fine, "the simulator answers models sim-*", "")
	}
	if len(p.cfg.Providers) == 0 {
		l := warn
		if !p.cfg.Simulator.Enabled {
			l = fail
		}
		say(l, "none is configured", "name one under providers: see config.yaml")
		return findings
	}
	configured := make([]providers.Config, len(p.cfg.Providers))
	for i, c := range p.cfg.Providers {
		configured[i] = c.options()
	}
	registry, err := providers.New(providers.Options{Providers: configured, Log: quietLog(), UserAgent: userAgent})
	if err != nil {
		say(fail, err.Error(), "mend it under providers")
		return findings
	}
	defer registry.Close()
	for _, provider := range registry.Providers() {
		findings = append(findings, aboutProvider(ctx, provider))
	}
	return findings
}

func aboutProvider(ctx context.Context, p *providers.Provider) finding {
	models, err := p.Check(ctx)
	name := p.Name() + " (" + strings.Join(p.Models(), ", ") + ")"
	if err == nil {
		return finding{"providers", fine, fmt.Sprintf("%s answers, and lists %d models", name, len(models)), ""}
	}
	do := "check base_url, and that this machine reaches it; jobs for its models wait, and are tried all the same"
	if failed := providers.AsError(err); failed != nil && failed.Kind == providers.Unauthorized {
		do = "check api_key"
	}
	return finding{"providers", fail, name + " does not answer as it should: " + err.Error(), do}
}

func checkCallbackRules(_ context.Context, p *patient) (findings []finding) {
	say := func(l level, text, do string) { findings = append(findings, finding{"callbacks", l, text, do}) }
	c := p.cfg.Callbacks
	if c.AllowHTTP {
		say(warn, "go over plain http too: who is on the way reads and changes them", "set callbacks.allow_http to false outside of tests")
	}
	for _, network := range c.AllowCIDRs {
		if network.Bits() < 8 {
			say(warn, "may reach "+network.String()+", which is nearly everything", "name only the networks in which receivers are")
		}
	}
	if len(c.AllowCIDRs) > 0 {
		say(warn, fmt.Sprintf("may reach networks that are not public: %v", c.AllowCIDRs), "anybody with an API key can have them called: keep the list short")
	}
	if public := p.cfg.Server.PublicURL; public == "" {
		say(warn, "link to the address that this process listens on", "set server.public_url to where clients and receivers reach it")
	} else if u, err := url.Parse(public); err == nil && u.Scheme == "http" && !isLoopback(u.Hostname()) {
		say(warn, "link to plain http", "give server.public_url as https, with a proxy that does TLS before it")
	}
	if len(findings) == 0 {
		say(fine, "go to public addresses over https alone", "")
	}
	return findings
}
