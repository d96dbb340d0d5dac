package main

import (
	"fmt"
	"path"
	"regexp"
	"strings"
)

var providerName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)

func (l *configLoader) checkProviders(cfg Config) {
	seen := map[string]bool{}
	for i, provider := range cfg.Providers {
		key := fmt.Sprintf("providers[%d]", i)
		l.checkProvider(key, provider)
		l.require(!seen[provider.Name], key+".name", "%q stands twice: names are unique", provider.Name)
		l.require(provider.Name != "simulator" || !cfg.Simulator.Enabled, key+".name",
			"is the built-in simulator's: choose another, or set simulator.enabled to false")
		seen[provider.Name] = true
	}
}

func (l *configLoader) checkProvider(key string, p ProviderConfig) {
	l.require(providerName.MatchString(p.Name), key+".name", "%q is not a name: lower-case letters, digits, - and _", p.Name)
	l.require(p.Type == "openai", key+".type", "%q is not known: write openai (it serves everything compatible)", p.Type)
	l.checkURL(key+".base_url", p.BaseURL)
	l.require(!strings.HasSuffix(p.BaseURL, "/"), key+".base_url", "ends with a slash: leave it out")
	l.require(len(p.Models) > 0, key+".models", `is empty: no call would go there; write ["*"] for all`)
	for i, pattern := range p.Models {
		_, err := path.Match(pattern, "")
		l.require(err == nil && pattern != "", fmt.Sprintf("%s.models[%d]", key, i), "%q is not a pattern: * is any text, ? any one character", pattern)
	}
	for name, value := range p.Headers {
		l.require(isHeaderName(name) && !strings.ContainsAny(string(value), "\r\n\x00"), key+".headers."+name, "is not a header")
	}
	l.checkProviderLimits(key, p)
}

func (l *configLoader) checkProviderLimits(key string, p ProviderConfig) {
	l.require(p.Concurrency > 0, key+".concurrency", "is %d: it must be at least 1", p.Concurrency)
	l.require(p.PerProcess >= 0, key+".per_process", "is below zero; 0 means no bound of its own")
	l.require(p.RequestsPerMinute >= 0, key+".requests_per_minute", "is below zero; 0 means no limit")
	l.require(p.TokensPerMinute >= 0, key+".tokens_per_minute", "is below zero; 0 means no limit")
	l.require(p.Timeout > 0, key+".timeout", "is %s: it must be above 0s", shortDuration(p.Timeout))
	l.require(p.Retries >= 0, key+".retries", "is below zero; 0 means never")
}
