package metrics

import (
	"testing"
	"time"
)

// BenchmarkHooks is what the packages pay for being measured.
func BenchmarkHooks(b *testing.B) {
	m := New(Options{})
	call, route := m.Calls("up"), m.Route("POST", "/v1/generate")
	for name, hook := range map[string]func(){
		"job":     func() { m.JobEnded("generation", "completed") },
		"call":    func() { call("", time.Second) },
		"attempt": func() { m.Attempted("2xx", time.Second) },
		"commit":  func() { m.Committed(8, time.Millisecond) },
		"lines":   func() { m.LinesKept(100, 99, 1) },
		"request": func() { route(202, time.Millisecond) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				hook()
			}
		})
	}
}
