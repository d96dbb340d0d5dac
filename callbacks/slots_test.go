package callbacks

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/jobs"
)

// two starts a Sender with two slots.
func two(t *testing.T, store Store) *Sender {
	t.Helper()
	s, _ := startSender(t, SenderOptions{
		Store: store, Poster: openPoster(t), Policy: steady(), Owner: "me", Concurrency: 2, Now: time.Now, Log: quiet(),
	})
	return s
}

func claimsOf(n int, url string) (claims []Claimed) {
	for range n {
		claims = append(claims, claim(url))
	}
	return claims
}

// slow is a receiver that answers nothing until release; arrived brings each of its requests.
func slow(t *testing.T) (r *receiver, arrived chan struct{}, release func()) {
	t.Helper()
	arrived = make(chan struct{}, 100)
	gate := make(chan struct{})
	release = sync.OnceFunc(func() { close(gate) })
	r = receive(t, func(http.ResponseWriter, *http.Request) { arrived <- struct{}{}; <-gate })
	t.Cleanup(release)
	return r, arrived, release
}

func TestDeliveryIsClaimedOnlyWhenItsSlotIsFree(t *testing.T) {
	t.Parallel()
	r, arrived, release := slow(t)
	claims := claimsOf(10, r.URL)
	store := newRows(claims...)
	s := two(t, store)
	var work sync.WaitGroup
	for _, half := range [][]Claimed{claims[:5], claims[5:]} { // two tasks share the slots
		work.Go(func() { s.Work(t.Context(), idsOf(half...)) })
	}
	<-arrived
	<-arrived
	store.mu.Lock()
	require.Equal(t, 8, store.count(Waiting), "what no slot is free for is not claimed")
	store.mu.Unlock()
	release()
	work.Wait()
	total := 0
	for _, n := range store.asked {
		require.LessOrEqual(t, n, 2)
		total += n
	}
	require.Equal(t, 10, total, "each delivery is asked for once")
	require.Equal(t, 2, store.asked[0], "free slots are filled by one claim")
	require.Equal(t, 2, store.most)
	require.Equal(t, 10, store.count(Delivered))
	require.Len(t, r.messages(), 10)
}

func TestSlotsOfWhatIsNotClaimedAreFreed(t *testing.T) {
	t.Parallel()
	r := receive(t, nil)
	claims := claimsOf(3, r.URL)
	store := newRows(claims...)
	s := two(t, store)
	unknown := []string{"default/dlv_a", "default/dlv_b", "default/dlv_c", "default/dlv_d", "default/dlv_e"}
	s.Work(t.Context(), append(unknown, idsOf(claims...)...))
	require.Equal(t, 3, store.count(Delivered))
	require.Empty(t, s.slots.taken)
}

func TestFailedClaimFreesItsSlots(t *testing.T) {
	t.Parallel()
	r := receive(t, nil)
	claims := claimsOf(5, r.URL)
	store := newRows(claims...)
	store.refusing = 1
	s := two(t, store)
	s.Work(t.Context(), idsOf(claims...))
	require.Equal(t, []int{2}, store.asked, "a store that fails is not asked again")
	require.Equal(t, 5, store.count(Waiting))
	require.Empty(t, s.slots.taken)
	s.Work(t.Context(), idsOf(claims...)) // as the sweeper has it
	require.Equal(t, 5, store.count(Delivered))
}

func TestStopClaimsNoMore(t *testing.T) {
	t.Parallel()
	r, arrived, _ := slow(t)
	claims := claimsOf(10, r.URL)
	store := newRows(claims...)
	s := two(t, store)
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() { s.Work(ctx, idsOf(claims...)) })
	<-arrived
	<-arrived
	cancel()
	work.Wait()
	require.Equal(t, []int{2}, store.asked)
	require.Equal(t, 8, store.count(Waiting), "the sweeper offers them again")
	require.Empty(t, s.slots.taken)
}

// While the store takes no outcomes, no more is sent than there are slots.
func TestSlotIsKeptUntilTheOutcomeIsRecorded(t *testing.T) {
	t.Parallel()
	r := receive(t, nil)
	claims := claimsOf(6, r.URL)
	store := newRows(claims...)
	store.gate = make(chan struct{})
	s := two(t, store)
	var work sync.WaitGroup
	work.Go(func() { s.Work(t.Context(), idsOf(claims...)) })
	require.Eventually(t, func() bool { return store.asks()+s.recorder.waiting() == 2 }, 5*time.Second, time.Millisecond)
	require.Len(t, r.messages(), 2)
	require.Len(t, s.slots.taken, 2)
	close(store.gate)
	work.Wait()
	require.Len(t, r.messages(), 6)
	require.Equal(t, 2, store.most)
}

// What cannot be read is a dead letter, not a loop, and holds up no other.
func TestUnreadableDeliveryEndsWithoutAPost(t *testing.T) {
	t.Parallel()
	r := receive(t, nil)
	broken, fine := claim(r.URL), claim(r.URL)
	broken.Broken, broken.Body, broken.Receiver = errors.New("the key does not open it"), nil, jobs.Webhook{}
	store := newRows(broken, fine)
	var text bytes.Buffer
	s, stop := startSender(t, SenderOptions{
		Store: store, Poster: openPoster(t), Policy: steady(), Now: time.Now, Log: slog.New(slog.NewTextHandler(&text, nil)),
	})
	s.Work(t.Context(), idsOf(broken, fine))
	stop()
	require.Len(t, r.messages(), 1)
	require.Equal(t, Delivered, store.row(fine.Ref()).State)
	row := store.row(broken.Ref())
	require.Equal(t, Failed, row.State)
	require.Equal(t, "unreadable", row.Reason)
	for _, o := range store.outcomes() {
		if o.Claimed.ID == broken.ID {
			require.Equal(t, ClassUnreadable, o.Attempt.ErrorClass)
			require.Equal(t, "ended: the receiver or the event cannot be read", o.Attempt.Rule)
			require.Equal(t, 1, o.Attempt.Number)
			require.Zero(t, o.Attempt.StatusCode)
		}
	}
	require.Len(t, store.outcomes(), 2)
	require.Contains(t, text.String(), "level=ERROR")
	require.Contains(t, text.String(), broken.ID)
	require.Contains(t, text.String(), "the key does not open it")
	require.NotContains(t, text.String(), testSecret)
}
