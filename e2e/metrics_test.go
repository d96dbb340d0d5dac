package e2e

import (
	"bytes"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
)

// scraped is what a scrape says.
type scraped map[string]*dto.MetricFamily

// scrape reads /metrics as Prometheus does.
func (s *server) scrape() scraped {
	s.t.Helper()
	a, err := s.do("GET", "/metrics", nil)
	require.NoError(s.t, err)
	require.Equal(s.t, http.StatusOK, a.status, string(a.body))
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(a.body))
	require.NoError(s.t, err)
	return families
}

// of is the value of one series, or how often a histogram's was observed; labels are name, value pairs. Zero for none.
func (n scraped) of(name string, labels ...string) float64 {
	for _, m := range n[name].GetMetric() {
		if !labelled(m, labels) {
			continue
		}
		switch {
		case m.Histogram != nil:
			return float64(m.Histogram.GetSampleCount())
		case m.Counter != nil:
			return m.Counter.GetValue()
		}
		return m.Gauge.GetValue()
	}
	return 0
}

func labelled(m *dto.Metric, labels []string) bool {
	got := map[string]string{}
	for _, l := range m.Label {
		got[l.GetName()] = l.GetValue()
	}
	for i := 0; i < len(labels); i += 2 {
		if got[labels[i]] != labels[i+1] {
			return false
		}
	}
	return true
}

// TestMetricsTellOfRealWork: what was asked for, answered, refused, delivered and given up stands in one scrape.
func TestMetricsTellOfRealWork(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	up := startUpstream(t, func(body string) reply {
		switch prompt(body) {
		case "canary-refused":
			return reply{status: 400, body: `{"error":{"message":"no","type":"invalid_request_error","param":null,"code":null}}`}
		case "canary-held":
			<-hold
		}
		return reply{body: completion("fine")}
	})
	hook, dead := startReceiver(t), startReceiver(t, 500, 500, 500)
	s := startServer(t, append(openCallbacks(), up.provider(""), "simulator.enabled=false", "callbacks.schedule=[0s,20ms]")...)
	n := s.scrape()
	require.EqualValues(t, 0, n.of("ringback_deliveries_total", "result", "failed"))
	require.Contains(t, n, "go_goroutines")
	require.Contains(t, n, "process_resident_memory_bytes")
	require.EqualValues(t, 1, n.of("ringback_build_info"))

	text := numbered(3, 0) + line("canary-line", ask("canary-refused")) + "\n"
	done := []string{
		s.batch(s.input(text), hook.field()), s.generate("hello", hook.field()), s.generate("canary-refused", dead.field()),
	}
	for _, job := range done {
		s.ended(job)
		s.settled(job)
	}
	held := s.call(http.StatusAccepted, "POST", "/v1/generate", `{"model":"canary-model","input":"canary-held"}`).get("id").String()
	eventually(t, "it is at the provider", func() bool { return up.busy() == 1 })
	s.call(http.StatusNotFound, "GET", "/v1/batches/canary-batch", "")
	s.call(http.StatusNotFound, "GET", "/canary-path", "")

	s.eventually("the numbers of the database are new", func() bool {
		n = s.scrape()
		return n.of("ringback_jobs_unfinished", "kind", "generation", "status", "in_progress") == 1
	})
	for _, want := range []struct {
		value  float64
		name   string
		labels []string
	}{
		{1, "ringback_jobs_finished_total", []string{"kind", "batch", "status", "completed"}},
		{1, "ringback_jobs_finished_total", []string{"kind", "generation", "status", "completed"}},
		{1, "ringback_jobs_finished_total", []string{"kind", "generation", "status", "failed"}},
		{3, "ringback_lines_total", []string{"result", "ok"}},
		{1, "ringback_lines_total", []string{"result", "failed"}},
		{4, "ringback_provider_call_duration_seconds", []string{"provider", "up", "outcome", "ok"}},
		{2, "ringback_provider_call_duration_seconds", []string{"provider", "up", "outcome", "rejected"}},
		{1, "ringback_provider_calls_in_flight", []string{"provider", "up"}},
		{0, "ringback_provider_calls_waiting", []string{"provider", "up"}},
		{0, "ringback_provider_down", []string{"provider", "up"}},
		{2, "ringback_deliveries_total", []string{"result", "delivered"}},
		{1, "ringback_deliveries_total", []string{"result", "failed"}},
		{2, "ringback_delivery_attempt_duration_seconds", []string{"outcome", "2xx"}},
		{2, "ringback_delivery_attempt_duration_seconds", []string{"outcome", "5xx"}},
		{1, "ringback_http_requests_total", []string{"method", "GET", "route", "/v1/batches/:id", "status", "404"}},
		{1, "ringback_http_requests_total", []string{"route", "unmatched", "status", "404"}},
		{3, "ringback_http_request_duration_seconds", []string{"method", "POST", "route", "/v1/generate"}},
		{256, "ringback_queue_window_tasks", []string{"lane", "calls"}},
		{1, "ringback_queue_busy_workers", []string{"lane", "calls"}},
		{0, "ringback_queue_panics_total", []string{"lane", "calls"}},
	} {
		require.EqualValues(t, want.value, n.of(want.name, want.labels...), "%s %v", want.name, want.labels)
	}
	require.Positive(t, n.of("ringback_writer_group_size"))
	require.Equal(t, n.of("ringback_writer_group_size"), n.of("ringback_writer_commit_duration_seconds"))
	require.Positive(t, n.of("ringback_flushed_lines"))
	require.Len(t, n["ringback_queue_oldest_due_age_seconds"].GetMetric(), 4)
	require.Len(t, n["ringback_queue_waiting_tasks"].GetMetric(), 4)
	require.Zero(t, n.of("ringback_scrape_failures_total"))
	close(hold)
	s.ended(held)
	s.noClientsText(append(done, held, "canary", "127.0.0.1", hook.server.URL, "/hook", "line-0000"))
}

// noClientsText looks for what clients chose, and for what was chosen for them, in the whole of a scrape.
func (s *server) noClientsText(texts []string) {
	s.t.Helper()
	a := s.read("/metrics")
	for _, text := range texts {
		require.NotContains(s.t, string(a.body), text)
	}
	for _, line := range strings.Split(string(a.body), "\n") {
		if strings.HasPrefix(line, "ringback_") {
			require.NotRegexp(s.t, `(batch|gen|file|evt|dlv|att|own|whk|req)[_-][0-9A-Z]{26}`, line)
		}
	}
}

// TestAThousandScrapesCostNoMemory: what a scrape takes it gives back.
func TestAThousandScrapesCostNoMemory(t *testing.T) {
	t.Parallel()
	s := startServer(t, startUpstream(t, nil).provider(""))
	s.ended(s.generate("hello", ""))
	heap := func() float64 {
		for range 50 { // enough garbage that it was collected in between
			s.scrape()
		}
		return s.scrape().of("go_memstats_heap_inuse_bytes")
	}
	scrapes := func(n int) {
		for range n {
			a, err := s.do("GET", "/metrics", nil)
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, a.status)
		}
	}
	scrapes(200)
	before, goroutines := heap(), s.scrape().of("go_goroutines")
	scrapes(1000)
	require.Less(t, heap(), before+24<<20)
	require.InDelta(t, goroutines, s.scrape().of("go_goroutines"), 30)
	require.Less(t, len(s.read("/metrics").body), 200<<10)
}

// TestMetricsOfADeadQueue: what cannot be read is missing and counted; the rest is there.
func TestMetricsOfADeadQueue(t *testing.T) {
	t.Parallel()
	s := startServer(t, "simulator.enabled=false", "queue.redis=unix://"+filepath.Join(t.TempDir(), "none.sock"))
	n := s.scrape()
	require.NotContains(t, n, "ringback_queue_waiting_tasks")
	require.EqualValues(t, 1, n.of("ringback_scrape_failures_total", "source", "queue"))
	require.Contains(t, n, "ringback_queue_oldest_due_age_seconds")
}
