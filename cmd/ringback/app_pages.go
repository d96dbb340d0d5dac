package main

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/ringback/ringback/web"
	"github.com/ringback/ringback/web/pages"
)

// people are the parts of the pages for people.
func (a *app) people() *web.People {
	return &web.People{
		Facts: a.store, Check: a.service, Providers: a.upstreams, Settings: a.settings, Schedule: a.cfg.Callbacks.Schedule, Timeout: a.cfg.Callbacks.Timeout, Version: release(), Mode: a.mode(),
	}
}

// mode says in a few words what this process is.
func (a *app) mode() string {
	switch roles := a.cfg.Server.Roles; {
	case !a.store.Shared():
		return "single process"
	case a.cfg.Server.works():
		return "one of many"
	default:
		return strings.TrimSpace(fmt.Sprint(roles)) + ", one of many"
	}
}

// release is the version in a word; a build of a working tree is named by its commit.
func release() string {
	v, _, _ := strings.Cut(version(), ",")
	return v
}

// upstreams are the providers as the configuration names them, with what this process sees of them.
func (a *app) upstreams() (all []pages.Provider) {
	seen := map[string]pages.Provider{}
	for _, t := range a.runner.Traffic() {
		seen[t.Provider] = pages.Provider{Calls: t.Calls, Waiting: t.Waiting, Down: t.Down}
	}
	for _, p := range a.providers.Providers() {
		one := seen[p.Name()]
		one.Name, one.Models, one.Works = p.Name(), p.Models(), a.cfg.Server.works()
		one.BaseURL, one.Slots = p.Address(), p.Slots()
		all = append(all, one)
	}
	return all
}

// settings is the configuration in force, secrets hidden.
func (a *app) settings() []byte {
	var b bytes.Buffer
	if err := a.cfg.Print(&b); err != nil {
		return []byte("# " + err.Error())
	}
	return b.Bytes()
}
