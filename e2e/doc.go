// Package e2e holds the tests of the whole program: they build the real binary, run `ringback serve` as a process of
// its own, and speak to it over HTTP as a client, as a model provider and as the receiver of callbacks. They kill it,
// stop it and start it again. Nothing of Ringback's code is linked into them.
package e2e
