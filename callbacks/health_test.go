package callbacks

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/callbacks/signature"
	"github.com/ringback/ringback/jobs"
)

const someTime = jobs.Time(1700000000000)

// came is an outcome of a delivery to a registered endpoint.
func came(r Result) *Outcome {
	return &Outcome{
		Claimed: Claimed{Delivery: Delivery{EndpointID: "a"}}, Attempt: r.Attempt, Decision: steady().Decide(r, 1, time.Now()),
	}
}

func TestObserveCountsFailuresAndForgetsThem(t *testing.T) {
	t.Parallel()
	e := endpoint("a", "*")
	for i, r := range []Result{status(500), class(ClassTimeout), status(404)} {
		require.Empty(t, e.Observe(came(r), someTime+jobs.Time(i)))
	}
	require.Equal(t, 3, e.Failures)
	require.Equal(t, someTime, e.FailingSince, "the first of them")
	require.Equal(t, someTime+2, e.LastFailureAt)
	require.Zero(t, e.LastSuccessAt)
	require.Empty(t, e.Observe(came(status(204)), someTime+9), "a few failures are no recovery")
	require.Zero(t, e.Failures)
	require.Zero(t, e.FailingSince)
	require.Equal(t, someTime+2, e.LastFailureAt)
	require.Equal(t, someTime+9, e.LastSuccessAt)
}

func TestRecoveryIsToldAfterARunOfFailures(t *testing.T) {
	t.Parallel()
	for failures, want := range map[int][]jobs.EventType{
		gateFailures - 1: nil, gateFailures: {EventEndpointRecovered}, gateFailures + 1: {EventEndpointRecovered},
	} {
		e := endpoint("a", "*")
		for range failures {
			require.Empty(t, e.Observe(came(status(500)), someTime))
		}
		require.Equal(t, want, e.Observe(came(status(200)), someTime), "after %d", failures)
		require.Empty(t, e.Observe(came(status(200)), someTime), "once")
	}
}

// An endpoint that does nothing but fail for five days is switched off, once.
func TestEndpointThatOnlyFailsIsSwitchedOff(t *testing.T) {
	t.Parallel()
	const days = 24 * time.Hour
	e := endpoint("a", "*")
	for range gateFailures {
		require.Empty(t, e.Observe(came(status(500)), someTime))
	}
	require.Empty(t, e.Observe(came(status(500)), someTime.Add(5*days-time.Millisecond)))
	require.True(t, e.IsActive)
	require.Equal(t, []jobs.EventType{EventEndpointDisabled}, e.Observe(came(status(500)), someTime.Add(5*days)))
	require.False(t, e.IsActive)
	require.Equal(t, DisabledFailing, e.Disabled)
	require.Equal(t, someTime.Add(5*days), e.ChangedAt)
	require.Empty(t, e.Observe(came(status(500)), someTime.Add(6*days)), "once")

	e = endpoint("a", "*")
	for range gateFailures {
		e.Observe(came(status(500)), someTime)
	}
	e.Observe(came(status(200)), someTime.Add(3*days))
	for range gateFailures {
		require.Empty(t, e.Observe(came(status(500)), someTime.Add(6*days)), "a success between")
	}
	require.True(t, e.IsActive)

	e = endpoint("a", "*")
	for i := range gateFailures - 1 {
		require.Empty(t, e.Observe(came(status(500)), someTime.Add(time.Duration(i)*2*days)), "a few failures far apart")
	}
	require.True(t, e.IsActive)
}

// R6, R7: the receiver's own word switches its endpoint off at once.
func TestReceiverSwitchesItsEndpointOff(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		result Result
		why    string
	}{
		"R6 410":           {status(410), "gone"},
		"R7 disable":       {wishing(500, "disable"), "disable"},
		"R7 abort-message": {wishing(500, "abort-message"), ""},
		"R6 404":           {status(404), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := endpoint("a", "*")
			follow := e.Observe(came(c.result), someTime)
			require.Equal(t, c.why, e.Disabled)
			require.Equal(t, c.why == "", e.IsActive)
			if c.why != "" {
				require.Equal(t, []jobs.EventType{EventEndpointDisabled}, follow)
			}
		})
	}
}

// What says nothing about the receiver changes nothing, though the endpoint has been failing for long.
func TestFaultsOfOursChangeNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []Class{
		ClassBlocked, ClassSelf, ClassClosed, ClassSecret, ClassUnreadable, ClassClaims, ClassInternal, ClassLocal, ClassInterrupted,
	} {
		e := endpoint("a", "*")
		e.Failures, e.FailingSince, e.LastFailureAt = 9, someTime, someTime
		before := e
		require.Empty(t, e.Observe(came(class(c)), someTime.Add(30*24*time.Hour)), c)
		require.Equal(t, before, e, c)
	}
}

func TestReceiverOfAnEndpoint(t *testing.T) {
	t.Parallel()
	r := Registered{Endpoint: endpoint("a", "*"), Target: Target{
		URL: "https://example.com/?k=1", Headers: map[string]string{"X-A": "1"},
		Secrets: Secrets{{Text: "new"}, {Text: "old", Until: someTime + 1}, {Text: "over", Until: someTime}},
	}}
	r.Timeout, r.Schedule = 1500, Schedule{time.Second}
	require.Equal(t, Receiver{
		URL: "https://example.com/?k=1", Method: "POST", Headers: map[string]string{"X-A": "1"}, Timeout: 1500 * time.Millisecond,
		Schedule: Schedule{time.Second}, Keys: signature.Keys{Secrets: []string{"new", "old"}},
	}, r.Receiver(someTime))
}
