package providers

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"

	"golang.org/x/net/http/httpguts"
)

// problems collects what is wrong with one provider's configuration, each line
// naming the provider and the key.
type problems struct {
	where string
	errs  []error
}

func (p *problems) add(key, format string, args ...any) {
	p.errs = append(p.errs, fmt.Errorf("%s.%s: %s", p.where, key, fmt.Sprintf(format, args...)))
}

func (o *Options) check() error {
	var errs []error
	seen := make(map[string]bool, len(o.Providers))
	for i, c := range o.Providers {
		p := &problems{where: fmt.Sprintf("providers[%d] %q", i, c.Name)}
		c.check(p)
		if seen[c.Name] {
			p.add("name", "is used twice; give each provider a name of its own")
		}
		seen[c.Name] = true
		errs = append(errs, p.errs...)
	}
	if !httpguts.ValidHeaderFieldValue(o.UserAgent) {
		errs = append(errs, errors.New("user agent: is not a valid header value; use printable characters"))
	}
	return errors.Join(errs...)
}

func (c Config) check(p *problems) {
	if ok, _ := regexp.MatchString(`^[a-z0-9][a-z0-9_-]{0,63}$`, c.Name); !ok {
		p.add("name", "use 1 to 64 lower-case letters, digits, '-' or '_', beginning with a letter or digit")
	}
	if c.Type != "" && c.Type != TypeOpenAI {
		p.add("type", "%q is not known; use %q", c.Type, TypeOpenAI)
	}
	checkBaseURL(p, c.BaseURL)
	if !httpguts.ValidHeaderFieldValue(c.APIKey) {
		p.add("api_key", "holds a character that a header cannot carry; look for a stray line break")
	}
	checkHeaders(p, c.Headers)
	checkPatterns(p, c.Models)
	c.checkNumbers(p)
	checkMedia(p, c.Media)
	if c.Responses != "" && c.Responses != ResponsesNative && c.Responses != ResponsesChat {
		p.add("responses", "%q is not known; use %q or %q", c.Responses, ResponsesNative, ResponsesChat)
	}
}

func (c Config) checkNumbers(p *problems) {
	for key, n := range map[string]int{
		"concurrency": c.Concurrency, "per_process": c.PerProcess, "requests_per_minute": c.RequestsPerMinute, "tokens_per_minute": c.TokensPerMinute,
	} {
		if n < 0 {
			p.add(key, "is negative; use 0 for the default or a positive number")
		}
	}
	if c.Timeout < 0 {
		p.add("timeout", "is negative; use 0 for the default or a positive duration")
	}
}

func checkBaseURL(p *problems, raw string) {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		p.add("base_url", "is not a URL; use one like https://api.openai.com/v1")
	case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		p.add("base_url", "needs http or https and a host, like https://api.openai.com/v1")
	case u.User != nil:
		p.add("base_url", "holds a user or password; put credentials in api_key or headers")
	case u.Fragment != "":
		p.add("base_url", "holds a '#' fragment; remove it")
	}
}

func checkPatterns(p *problems, patterns []string) {
	if len(patterns) == 0 {
		p.add("models", `is empty; list the models it serves, or "*" for all`)
	}
	for i, pattern := range patterns {
		if pattern == "" {
			p.add(fmt.Sprintf("models[%d]", i), "is empty; remove it or name a model")
		}
	}
}
