package metrics

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"
)

// full are sources that say something of everything.
func full() Sources {
	return Sources{
		Jobs: func(context.Context) ([]Jobs, error) { return []Jobs{{"batch", "in_progress", 3}}, nil },
		OldestDue: func(context.Context) (map[string]time.Duration, error) {
			return map[string]time.Duration{"calls": 1500 * time.Millisecond}, nil
		},
		ShutGates: func(context.Context) (int64, error) { return 2, nil },
		Waiting:   func(context.Context) (map[string]int64, error) { return map[string]int64{"calls": 7}, nil },
		Lanes:     func() []Lane { return []Lane{{"calls", 4, 8, 256, 1, 2, 3}} },
		Providers: func() []Provider { return []Provider{{"up", 5, 6, true}} },
		Heartbeat: func() time.Duration { return time.Second },
		Callbacks: func() Callbacks { return Callbacks{9, 512, 10} },
	}
}

// busy are metrics of a process in which everything has happened once.
func busy() *Metrics {
	m := New(Options{Version: "v1", GoVersion: "go1", Sources: full()})
	m.JobEnded("batch", "completed")
	m.LinesKept(3, 2, 1)
	m.Calls("up")("rate_limited", time.Second)
	m.DeliveriesEnded(1, 2)
	m.Attempted("timeout", time.Second)
	m.Committed(4, time.Millisecond)
	m.Route("GET", "/v1/jobs/:id")(404, time.Millisecond)
	return m
}

func scrapeOf(t *testing.T, m *Metrics) string {
	t.Helper()
	server := httptest.NewServer(m.Handler())
	defer server.Close()
	response, err := http.Get(server.URL)
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, http.StatusOK, response.StatusCode)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(body)
}

func TestScrapeSaysWhatTheSourcesSay(t *testing.T) {
	t.Parallel()
	body := scrapeOf(t, busy())
	for _, line := range []string{
		`ringback_build_info{goversion="go1",version="v1"} 1`,
		`ringback_jobs_unfinished{kind="batch",status="in_progress"} 3`,
		`ringback_jobs_finished_total{kind="batch",status="completed"} 1`,
		`ringback_lines_total{result="ok"} 2`,
		`ringback_lines_total{result="failed"} 1`,
		`ringback_flushed_lines_sum 3`,
		`ringback_provider_call_duration_seconds_sum{outcome="rate_limited",provider="up"} 1`,
		`ringback_provider_calls_in_flight{provider="up"} 5`,
		`ringback_provider_calls_waiting{provider="up"} 6`,
		`ringback_provider_down{provider="up"} 1`,
		`ringback_queue_oldest_due_age_seconds{lane="calls"} 1.5`,
		`ringback_queue_waiting_tasks{lane="calls"} 7`,
		`ringback_queue_window_tasks{lane="calls"} 256`,
		`ringback_queue_busy_workers{lane="calls"} 4`,
		`ringback_queue_workers{lane="calls"} 8`,
		`ringback_queue_dropped_ids_total{lane="calls"} 1`,
		`ringback_queue_malformed_tasks_total{lane="calls"} 2`,
		`ringback_queue_panics_total{lane="calls"} 3`,
		`ringback_deliveries_total{result="delivered"} 1`,
		`ringback_deliveries_total{result="failed"} 2`,
		`ringback_delivery_attempt_duration_seconds_count{outcome="timeout"} 1`,
		`ringback_deliveries_in_hand 9`,
		`ringback_deliveries_in_hand_limit 512`,
		`ringback_gates_known 10`,
		`ringback_gates_shut 2`,
		`ringback_writer_group_size_sum 4`,
		`ringback_writer_commit_duration_seconds_sum 0.001`,
		`ringback_http_requests_total{method="GET",route="/v1/jobs/:id",status="404"} 1`,
		`ringback_http_request_duration_seconds_count{method="GET",route="/v1/jobs/:id"} 1`,
		`ringback_scrape_failures_total{source="jobs"} 0`,
	} {
		require.Contains(t, body, line+"\n")
	}
}

func TestPrometheusFindsNothingWrong(t *testing.T) {
	t.Parallel()
	problems, err := promlint.New(strings.NewReader(scrapeOf(t, busy()))).Lint()
	require.NoError(t, err)
	require.Empty(t, problems)
}

// TestTheTableIsComplete: docs/metrics.md lists each metric of ours with its type and its labels, and no other.
func TestTheTableIsComplete(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/metrics.md")
	require.NoError(t, err)
	var documented []string
	for _, row := range regexp.MustCompile("(?m)^\\| `(ringback_\\w+)` \\| (\\w+) \\|([^|]*)\\| .+ \\|$").FindAllStringSubmatch(string(text), -1) {
		documented = append(documented, row[1]+" "+row[2]+" "+strings.TrimSpace(strings.NewReplacer("`", "", ",", "").Replace(row[3])))
	}
	require.Equal(t, described(t), documented, "in the order of the table's sections")
}

// described are our metrics in the table's order.
func described(t *testing.T) (all []string) {
	t.Helper()
	families, err := busy().registry.Gather()
	require.NoError(t, err)
	text, err := os.ReadFile("../docs/metrics.md")
	require.NoError(t, err)
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "ringback_") {
			continue
		}
		labels := make([]string, 0, 3)
		for _, l := range f.Metric[0].Label {
			labels = append(labels, l.GetName())
		}
		all = append(all, f.GetName()+" "+strings.ToLower(f.GetType().String())+" "+strings.Join(labels, " "))
	}
	slices.SortStableFunc(all, func(a, b string) int { return place(text, a) - place(text, b) })
	return all
}

func place(text []byte, metric string) int {
	name, _, _ := strings.Cut(metric, " ")
	if i := strings.Index(string(text), "| `"+name+"`"); i >= 0 {
		return i
	}
	return len(text)
}

// TestEveryDescriptionIsGathered: busy leaves none out, so that the table's test sees all.
func TestEveryDescriptionIsGathered(t *testing.T) {
	t.Parallel()
	m := busy()
	families, err := m.registry.Gather()
	require.NoError(t, err)
	descs := make(chan *prometheus.Desc, 100)
	for _, c := range m.ours(Options{Sources: full(), Now: time.Now}) {
		c.Describe(descs)
	}
	close(descs)
	for d := range descs {
		name := regexp.MustCompile(`fqName: "(\w+)"`).FindStringSubmatch(d.String())[1]
		require.True(t, slices.ContainsFunc(families, func(f *dto.MetricFamily) bool { return f.GetName() == name }), name)
	}
}

// TestSourcesAreSpared: many scrapes ask the database no more often than one does, and never wait for it for long.
func TestSourcesAreSpared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		from := full()
		from.Jobs = func(ctx context.Context) ([]Jobs, error) {
			asked.Add(1)
			<-ctx.Done() // hangs
			return nil, ctx.Err()
		}
		from.Waiting = func(context.Context) (map[string]int64, error) { return nil, errors.New("away") }
		m := New(Options{Sources: from})
		names := func() (all []string) {
			families, err := m.registry.Gather()
			require.NoError(t, err)
			for _, f := range families {
				all = append(all, f.GetName())
			}
			return all
		}
		start := time.Now()
		for range 100 {
			got := names()
			require.NotContains(t, got, "ringback_jobs_unfinished")
			require.NotContains(t, got, "ringback_queue_waiting_tasks")
			require.Contains(t, got, "ringback_gates_shut", "the others are told")
		}
		require.Equal(t, askedAtMost, time.Since(start), "waited once")
		require.EqualValues(t, 1, asked.Load())
		time.Sleep(standsFor)
		names()
		require.EqualValues(t, 2, asked.Load())
	})
}

// TestWithoutSources: what cannot be asked is left out.
func TestWithoutSources(t *testing.T) {
	t.Parallel()
	body := scrapeOf(t, New(Options{}))
	require.NotContains(t, body, "ringback_gates")
	require.Contains(t, body, "ringback_deliveries_total{result=\"failed\"} 0\n", "so that an alert sees the first")
}
