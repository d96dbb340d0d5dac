package main

import (
	"context"
	"errors"

	"github.com/ringback/ringback/web"
)

// checks are the dependencies that /readyz names. Without the database nothing can be accepted. Without the queue what is
// accepted waits for the sweeper, and without the files uploads fail: neither is a reason to take submissions away. A provider
// is somebody else's: its jobs wait, and it is not asked, since that would be a call for each probe.
func (a *app) checks() []web.Check {
	all := []web.Check{
		{Name: "database", Weight: web.Vital, Probe: a.store.Probe},
		{Name: "queue", Weight: web.Degrading, Probe: a.queue.Ping},
		{Name: "files", Weight: web.Degrading, Probe: a.filesPing.Answer},
	}
	for _, p := range a.providers.Providers() {
		all = append(all, web.Check{Name: "provider " + p.Name(), Weight: web.Told, Probe: a.answers(p.Name())})
	}
	return all
}

var errProviderDown = errors.New("the provider has failed several times in a row; its jobs wait until it answers")

// answers tells what is known of a provider by its latest calls.
func (a *app) answers(name string) func(context.Context) error {
	return func(context.Context) error {
		for _, t := range a.runner.Traffic() {
			if t.Provider == name && t.Down {
				return errProviderDown
			}
		}
		return nil
	}
}
