package callbacks

import (
	"time"

	"github.com/ringback/ringback/callbacks/signature"
	"github.com/ringback/ringback/jobs"
)

// disableAfter is how long an endpoint may only fail before it is switched off.
const disableAfter = 5 * 24 * time.Hour

// MaxWait is how long a delivery waits at a shut gate before it is given up.
const MaxWait = 72 * time.Hour

// Why Ringback switches an endpoint off, and why deliveries to one that is off are cancelled.
const (
	DisabledFailing   = "failing" // nothing but failures for disableAfter, and as many as shut a gate
	ReasonDisabled    = "endpoint_disabled"
	ReasonDeleted     = "endpoint_deleted"
	ReasonBreakerOpen = "breaker_open" // waited MaxWait at a shut gate
	ReasonByHand      = "cancelled_by_hand"
)

// Observe takes what came of one delivery into an endpoint's health, and gives the events that follow from it.
func (e *Endpoint) Observe(o *Outcome, now jobs.Time) (follow []jobs.EventType) {
	v := judge(&o.Claimed.Delivery, &o.Attempt)
	switch v {
	case works:
		if e.Failures >= gateFailures {
			follow = append(follow, EventEndpointRecovered)
		}
		e.Failures, e.FailingSince, e.LastSuccessAt = 0, 0, now
	case fails:
		e.Failures++
		e.LastFailureAt = now
		if e.FailingSince == 0 {
			e.FailingSince = now
		}
	}
	if why := e.hopeless(o, v, now); why != "" && e.IsActive {
		e.IsActive, e.Disabled, e.ChangedAt = false, why, now
		follow = append(follow, EventEndpointDisabled)
	}
	return follow
}

// hopeless says why an endpoint is to be switched off; empty while it is not.
func (e *Endpoint) hopeless(o *Outcome, v verdict, now jobs.Time) string {
	switch {
	case o.Decision.Disable != "":
		return o.Decision.Disable
	case v == fails && e.Failures >= gateFailures && e.FailingSince.Add(disableAfter) <= now:
		return DisabledFailing
	}
	return ""
}

func (e *Endpoint) timeout() time.Duration { return time.Duration(e.Timeout) * time.Millisecond }

// Receiver is who a POST to the endpoint goes to at a time.
func (r *Registered) Receiver(now jobs.Time) Receiver {
	return Receiver{
		URL: r.Target.URL, Method: "POST", Headers: r.Target.Headers, Timeout: r.timeout(), Schedule: r.Schedule,
		Keys: signature.Keys{Secrets: r.Target.Secrets.Live(now)},
	}
}
