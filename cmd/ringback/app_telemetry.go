package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/ringback/ringback/telemetry"
	"github.com/ringback/ringback/telemetry/span"
)

// openTelemetry makes what tells work as spans. Without a collector it passes clients' traces on, and records nothing.
func (a *app) openTelemetry(context.Context) error {
	endpoint, from := a.cfg.Telemetry.OTLPEndpoint, "telemetry.otlp_endpoint"
	if endpoint == "" {
		from = "OTEL_EXPORTER_OTLP_ENDPOINT"
		endpoint = os.Getenv(from)
	}
	if endpoint == "" {
		a.tracer = span.NewTracer(nil)
		return nil
	}
	recorder, err := telemetry.New(telemetry.Options{
		Endpoint: endpoint, Headers: a.cfg.Telemetry.headers(), Sample: a.cfg.Telemetry.Sample,
		Service: cmp.Or(os.Getenv("OTEL_SERVICE_NAME"), "ringback"), Version: version(), Instance: a.owner, Log: a.log,
	})
	if err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	a.telemetry, a.tracer = recorder, span.NewTracer(recorder)
	return nil
}

// headers go with each export.
func (t TelemetryConfig) headers() map[string]string {
	headers := make(map[string]string, len(t.Headers))
	for _, header := range t.Headers {
		name, value, _ := strings.Cut(header.Reveal(), ":")
		headers[name] = strings.TrimSpace(value)
	}
	return headers
}

// leastFlush is how long the last spans have in any case to reach the collector.
const leastFlush = 500 * time.Millisecond

// closeTelemetry sends the last spans, until the grace period that began with the stop is over.
func (a *app) closeTelemetry(began time.Time) error {
	if a.telemetry == nil {
		return nil
	}
	left := max(a.cfg.Server.ShutdownGrace-time.Since(began), leastFlush)
	ctx, cancel := context.WithTimeout(context.Background(), left)
	defer cancel()
	return a.telemetry.Close(ctx)
}
