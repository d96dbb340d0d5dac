package main

import (
	"fmt"
	"strings"
)

func (l *configLoader) checkTelemetry(t TelemetryConfig) {
	if t.OTLPEndpoint != "" {
		l.checkURL("telemetry.otlp_endpoint", t.OTLPEndpoint)
	}
	l.require(t.Sample >= 0 && t.Sample <= 1, "telemetry.sample", "is %v: it is a share from 0 to 1", t.Sample)
	for i, header := range t.Headers {
		name, value, found := strings.Cut(header.Reveal(), ":")
		good := found && isHeaderName(name) && !strings.ContainsAny(value, "\r\n\x00")
		l.require(good, fmt.Sprintf("telemetry.headers[%d]", i), `is not a header: write "Name: value"`)
	}
}
