package callbacks

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/jobs"
)

// What is no try is put off ever longer, since each attempt is a row: doubling from a minute to an hour.
func TestWhatIsNoTryIsPutOffEverLonger(t *testing.T) {
	t.Parallel()
	for number, want := range map[int]time.Duration{
		0: time.Minute, 1: time.Minute, 2: 2 * time.Minute, 6: 32 * time.Minute, 7: time.Hour, 1000: time.Hour,
	} {
		d := steady().Decide(Result{Attempt: Attempt{Number: number, ErrorClass: ClassProxy}, Local: true}, 1, time.Unix(1700000000, 0))
		require.Equal(t, want, d.Delay, number)
		require.True(t, d.NoTry)
	}
}

// However often a delivery was tried, its event stays far below what a callback may carry.
func TestExhaustedEventShowsTheLastAttempts(t *testing.T) {
	t.Parallel()
	attempts := make([]Attempt, 300)
	for i := range attempts {
		attempts[i] = Attempt{ID: fmt.Sprint(i), Snippet: make([]byte, maxSnippet)}
	}
	e := ExhaustedEvent(&Delivery{ProjectID: "p", ID: "dlv_1", State: Failed, Recorded: 300}, attempts, someTime)
	require.Less(t, len(e.Body), 256<<10)
	var body struct {
		Data struct{ Object DeliveryObject }
	}
	require.NoError(t, json.Unmarshal(e.Body, &body))
	shown := body.Data.Object.Attempts
	require.Len(t, shown, exhaustedMost)
	require.Equal(t, "299", shown[len(shown)-1].ID)
}

// Test fires are bounded: one more than may be under way is refused before anything is sent.
func TestTestFiresAreBounded(t *testing.T) {
	t.Parallel()
	r := receive(t, nil)
	_, err := fired(t, r.URL, "", func(s *Service, _ *records, _ *Registered) {
		for range mostTests {
			s.tests <- struct{}{}
		}
	})
	require.True(t, jobs.IsCode(err, jobs.CodeUnavailable), "%v", err)
	require.Empty(t, r.messages())
}
