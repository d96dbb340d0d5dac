package e2e

import (
	"bufio"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The bounds of a soak, as shares of what there was after the warm-up, with room for what a busy garbage collector leaves.
const (
	growsBytes, roomBytes           = 1.25, 24 << 20
	growsGoroutines, roomGoroutines = 1.25, 50
)

// R30: customers submit jobs of every kind for a minute (RINGBACK_SOAK says for how long: 1h), while one callback in five is
// answered 500, one in ten late, some by a reset, and some model calls by a 429 or a 500; every five minutes, or once, a
// process is restarted. Nothing is lost, whatever was repeated has its record, and the processes stay as large as they were.
func TestSoak(t *testing.T) {
	t.Parallel()
	length := soakTime(t)
	tests := map[string]func(t *testing.T){}
	for _, m := range soakModes() {
		tests[string(m)] = func(t *testing.T) { soak(t, m, length) }
	}
	together(t, tests)
}

func soakTime(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("RINGBACK_SOAK")
	if text == "" {
		return time.Minute
	}
	length, err := time.ParseDuration(text)
	require.NoError(t, err, "RINGBACK_SOAK")
	return length
}

// soakModes are both where somebody asks for a soak.
func soakModes() []mode {
	if os.Getenv("RINGBACK_SOAK") == "" {
		return []mode{scaled}
	}
	return []mode{embedded, scaled}
}

func soak(t *testing.T, m mode, length time.Duration) {
	random := dice(t)
	began, every := time.Now(), min(5*time.Minute, length/2)
	c := startChaos(t, m.start, weather{failed: 0.2, slow: 0.1, reset: 0.02, callFailed: 0.01, callRefused: 0.005, calm: 4})
	sizes := map[string][]size{}
	for next := began.Add(every); time.Since(began) < length; time.Sleep(time.Second) {
		for _, s := range c.f.members() {
			sizes[s.name] = append(sizes[s.name], s.size())
		}
		if time.Now().After(next) {
			next = next.Add(every)
			c.f.members()[random.IntN(len(c.f.members()))].again()
		}
	}
	l := c.end()
	l.print(t)
	require.Zero(t, l.repeated, "a restart in order repeats no callback")
	for name, all := range sizes {
		flat(t, name, all)
	}
}

// again restarts a process in order.
func (s *server) again() {
	s.t.Helper()
	code, _ := s.stop()
	require.Zero(s.t, code)
	s.restart()
}

// size is what a process takes up at a moment.
type size struct {
	bytes, goroutines float64
	age               time.Duration // of the process
}

func (s *server) size() size {
	s.t.Helper()
	return size{bytes: float64(s.resident(s.t)), goroutines: s.metric("go_goroutines"), age: time.Since(s.started)}
}

// metric is the value of a metric without labels.
func (s *server) metric(name string) float64 {
	s.t.Helper()
	answer, err := s.http.Get("http://" + s.address() + "/metrics")
	require.NoError(s.t, err)
	defer answer.Body.Close()
	require.Equal(s.t, http.StatusOK, answer.StatusCode)
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			value, err := strconv.ParseFloat(text, 64)
			require.NoError(s.t, err)
			return value
		}
	}
	s.t.Fatalf("the %s has no metric %s", s.name, name)
	return 0
}

// flat compares the last third of the time after the warm-up with the first one. The first ten seconds of a life are warm-up:
// a process that was restarted is small.
func flat(t *testing.T, name string, all []size) {
	t.Helper()
	const warmUp = 10 * time.Second
	var warm []size
	for _, s := range all {
		if s.age > warmUp {
			warm = append(warm, s)
		}
	}
	third := len(warm) / 3
	require.Positive(t, third, "%s was never warm", name)
	first, last := mean(warm[:third]), mean(warm[len(warm)-third:])
	t.Logf("%s: %.1f MB and %.0f goroutines in the first third, %.1f MB and %.0f in the last", name, first.bytes/1e6, first.goroutines, last.bytes/1e6, last.goroutines)
	require.Less(t, last.bytes, first.bytes*growsBytes+roomBytes, "memory of the %s", name)
	require.Less(t, last.goroutines, first.goroutines*growsGoroutines+roomGoroutines, "goroutines of the %s", name)
}

func mean(all []size) (m size) {
	for _, s := range all {
		m.bytes += s.bytes / float64(len(all))
		m.goroutines += s.goroutines / float64(len(all))
	}
	return m
}
