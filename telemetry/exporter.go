package telemetry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tidwall/gjson"
	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// One export: how long one request may take, all of its tries together, and the pause before the second try.
const (
	requestTimeout = 5 * time.Second
	exportTimeout  = 15 * time.Second
	exportPause    = time.Second
	exportTries    = 3
	maxAnswer      = 64 << 10
)

// exporter posts spans to a collector. It tells the log alone when that fails, since nobody else could do anything.
type exporter struct {
	url       string
	header    http.Header
	client    *http.Client
	complaint *complaint
	life      context.Context // ends when what is left is given up
	cut       context.CancelFunc
}

func newExporter(o Options) (*exporter, error) {
	base, err := url.Parse(o.Endpoint)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" {
		return nil, errors.New("telemetry: the collector's address is not a URL like http://127.0.0.1:4318; correct it")
	}
	header := http.Header{}
	for name, value := range o.Headers {
		header.Set(name, value)
	}
	header.Set("Content-Type", "application/json")
	header.Set("User-Agent", "Ringback/1.0")
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	life, cut := context.WithCancel(context.Background())
	return &exporter{
		url: strings.TrimRight(base.String(), "/") + "/v1/traces", header: header, complaint: &complaint{log: log}, life: life, cut: cut,
		client: &http.Client{
			Timeout:   requestTimeout,
			Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 1, IdleConnTimeout: 30 * time.Second},
			// A collector's headers may hold a key, which goes nowhere else.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// ExportSpans sends a set, with a few tries. It never returns an error: OpenTelemetry would print each.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(e.life, cancel)()
	body := encode(spans)
	var err error
	for try := range exportTries {
		if try > 0 && !pause(ctx, exportPause<<(try-1)) {
			break
		}
		var again bool
		if again, err = e.post(ctx, body); err == nil || !again {
			break
		}
	}
	if err != nil {
		e.complaint.make(len(spans), err)
	}
	return nil
}

// Shutdown has nothing to do: each export is whole.
func (e *exporter) Shutdown(context.Context) error { return nil }

func (e *exporter) close() {
	e.cut()
	e.client.CloseIdleConnections()
}

// post sends one request, and tells whether the same may succeed later (OTLP/HTTP: 429, 502, 503, 504, or no answer).
func (e *exporter) post(ctx context.Context, body []byte) (again bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url, bytes.NewReader(body))
	if err != nil {
		return false, errors.New("the collector's address makes no request")
	}
	req.Header = e.header.Clone()
	resp, err := e.client.Do(req)
	if err != nil {
		var outer *url.Error // whose text has the address, and what may be in it
		if errors.As(err, &outer) {
			err = outer.Err
		}
		return true, err
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer)) // the status decides
	if resp.StatusCode/100 == 2 {
		return false, partly(answer)
	}
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		again = true
	}
	return again, fmt.Errorf("the collector answered %d", resp.StatusCode)
}

// partly reads a collector's word that it took not all. Its message may repeat what it was sent, and is left out.
func partly(answer []byte) error {
	if n := gjson.GetBytes(answer, "partialSuccess.rejectedSpans").Int(); n > 0 {
		return fmt.Errorf("the collector refused %d spans", n)
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
