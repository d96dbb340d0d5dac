package providers

import (
	"fmt"
	"slices"
	"strings"
)

// Registry holds the configured providers in routing order. It is safe for use
// by many goroutines.
type Registry struct {
	providers []*Provider
	sharing   *sharing // nil: nothing is shared
}

// New checks the whole configuration and makes the providers. It makes no
// network call. The error joins every problem found, each naming its provider
// and key. No providers at all is allowed: then no model has a route.
func New(o Options) (*Registry, error) {
	o.fill()
	if err := o.check(); err != nil {
		return nil, err
	}
	r := &Registry{sharing: newSharing(o.Sharer)}
	for _, c := range o.Providers {
		p, err := newProvider(o, c.filled(), r.sharing)
		if err != nil {
			return nil, err
		}
		r.providers = append(r.providers, p)
	}
	return r, nil
}

// Close gives this process's shares of the limits to the others, and closes the idle
// connections. Calls in flight end by themselves or with their contexts.
func (r *Registry) Close() {
	r.sharing.close()
	for _, p := range r.providers {
		p.transport.CloseIdleConnections()
	}
}

// Route returns the first provider, in configured order, one of whose patterns
// matches model. A tuned model's name that no pattern matches goes where its
// base goes: OpenAI makes it "ft:", the base, ':' and more. Otherwise the error
// is an *[Error] of kind [NoProvider] that says which patterns exist.
func (r *Registry) Route(model string) (*Provider, error) {
	for _, name := range []string{model, tunedFrom(model)} {
		if p := r.match(name); p != nil {
			return p, nil
		}
	}
	return nil, &Error{Kind: NoProvider, Message: noRoute(model, r.Models())}
}

// match returns nil where no pattern matches.
func (r *Registry) match(model string) *Provider {
	for _, p := range r.providers {
		if slices.ContainsFunc(p.config.Models, func(pattern string) bool { return Match(pattern, model) }) {
			return p
		}
	}
	return nil
}

// tunedFrom gives the base of a tuned model, or model where it is none.
func tunedFrom(model string) string {
	rest, tuned := strings.CutPrefix(model, "ft:")
	base, _, named := strings.Cut(rest, ":")
	if !tuned || !named || base == "" {
		return model
	}
	return base
}

func noRoute(model string, patterns []string) string {
	if len(patterns) == 0 {
		return "No provider is configured; ask the operator to add one."
	}
	return fmt.Sprintf("No provider serves the model %.160q; the configured patterns are: %s.", model, strings.Join(patterns, ", "))
}

// Provider returns the provider of that name, and whether there is one.
func (r *Registry) Provider(name string) (*Provider, bool) {
	for _, p := range r.providers {
		if p.config.Name == name {
			return p, true
		}
	}
	return nil, false
}

// Providers returns all providers in routing order.
func (r *Registry) Providers() []*Provider { return slices.Clone(r.providers) }

// Models returns the patterns of all providers in routing order, each once.
func (r *Registry) Models() []string {
	var patterns []string
	for _, p := range r.providers {
		for _, pattern := range p.config.Models {
			if !slices.Contains(patterns, pattern) {
				patterns = append(patterns, pattern)
			}
		}
	}
	return patterns
}
