package main

import (
	"bytes"
	"regexp"
	"sync"
)

const keptOutput = 8 << 10

// watchedOutput takes a process's output: it finds the URL that the process
// announces, and keeps the end for error messages.
type watchedOutput struct {
	url     chan string // gets one URL
	pattern *regexp.Regexp

	mu    sync.Mutex
	found bool
	kept  []byte
}

func watchOutput(announce string) *watchedOutput {
	return &watchedOutput{url: make(chan string, 1), pattern: regexp.MustCompile(regexp.QuoteMeta(announce) + `(http://[0-9.:]+)`)}
}

// Write never fails and never blocks the process.
func (o *watchedOutput) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.kept = append(o.kept, p...)
	if over := len(o.kept) - keptOutput; over > 0 {
		o.kept = bytes.Clone(o.kept[over:])
	}
	if !o.found {
		if match := o.pattern.FindSubmatch(o.kept); match != nil && !bytes.HasSuffix(o.kept, match[0]) {
			o.found = true
			o.url <- string(match[1])
		}
	}
	return len(p), nil
}

func (o *watchedOutput) tail() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.kept)
}
