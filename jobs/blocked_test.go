package jobs

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/providers"
)

// TestBlockedBy: every kind's object says why it waits, from its row alone.
func TestBlockedBy(t *testing.T) {
	t.Parallel()
	at := noon.Add(90_000_000_000)
	for name, tc := range map[string]struct {
		change func(*Snapshot)
		want   string
	}{
		"nobody has begun":   {func(*Snapshot) {}, `{"reason":"queue","until":null,"position":null}`},
		"its place":          {func(s *Snapshot) { s.Position = 3 }, `{"reason":"queue","until":null,"position":3}`},
		"planned":            {func(s *Snapshot) { s.RunAt = at }, `{"reason":"window","until":` + gjson.ParseBytes(encode(at.Unix())).Raw + `,"position":null}`},
		"its time has come":  {func(s *Snapshot) { s.RunAt, s.Position = at, 1 }, `{"reason":"queue","until":null,"position":1}`},
		"at work":            {func(s *Snapshot) { s.Attempt = 1 }, `null`},
		"a limit":            {func(s *Snapshot) { s.Attempt = 1; s.block(BlockedByRateLimit, at) }, `{"reason":"rate_limit","until":` + gjson.ParseBytes(encode(at.Unix())).Raw + `,"position":null}`},
		"the provider":       {func(s *Snapshot) { s.Attempt = 1; s.block(BlockedByProvider, 0) }, `{"reason":"provider_down","until":null,"position":null}`},
		"the end clears all": {func(s *Snapshot) { s.block(BlockedByProvider, at); s.end(Failed, noon) }, `null`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, kind := range []Kind{KindBatch, KindGeneration, KindTuning} {
				s := Snapshot{Job: Job{Kind: kind, Status: Queued, CreatedAt: noon, ChangedAt: noon, Tuning: &Tuning{}}}
				tc.change(&s)
				require.JSONEq(t, tc.want, gjson.GetBytes(s.Object(), "blocked_by").Raw, kind)
				require.JSONEq(t, tc.want, gjson.GetBytes(s.Wrapped(), "blocked_by").Raw, kind)
			}
		})
	}
}

func TestReasonsOfLimiters(t *testing.T) {
	t.Parallel()
	for reason, want := range map[string]Blocked{
		providers.ProviderDown: BlockedByProvider, providers.AllSlotsTaken: BlockedByQueue, providers.OthersWait: BlockedByQueue,
		providers.ShutByProvider: BlockedByRateLimit, providers.RequestsPerMinute: BlockedByRateLimit, providers.TokensPerMinute: BlockedByRateLimit,
	} {
		require.Equal(t, want, blockedBy(reason), reason)
	}
}

// TestETA: a batch goes on as it went so far, a fine-tuning as its provider says, a call as those before it.
func TestETA(t *testing.T) {
	t.Parallel()
	second := Time(1000)
	for name, tc := range map[string]struct {
		s    Snapshot
		want Time
	}{
		"a batch":            {Snapshot{Job: Job{Kind: KindBatch, Status: InProgress, StartedAt: noon, ChangedAt: noon + 10*second, Total: 100, Completed: 15, Failed: 5}}, noon + 50*second},
		"a batch that waits": {Snapshot{Job: Job{Kind: KindBatch, Status: InProgress, StartedAt: noon, ChangedAt: noon + 10*second, Total: 100, Completed: 20, BlockedUntil: noon + 70*second}}, noon + 110*second},
		"a retried batch":    {Snapshot{Job: Job{Kind: KindBatch, Status: InProgress, StartedAt: noon, ChangedAt: noon + 10*second, Total: 100, Completed: 90, Copied: 80}}, noon + 20*second},
		"nothing done yet":   {Snapshot{Job: Job{Kind: KindBatch, Status: InProgress, StartedAt: noon, ChangedAt: noon + 10*second, Total: 100}}, 0},
		"its files":          {Snapshot{Job: Job{Kind: KindBatch, Status: Finalizing, StartedAt: noon, ChangedAt: noon + second, Total: 10, Completed: 10}}, 0},
		"a call":             {Snapshot{Job: Job{Kind: KindGeneration, Status: InProgress, CreatedAt: noon, StartedAt: noon + second}, Typical: 4 * second}, noon + 5*second},
		"a planned call":     {Snapshot{Job: Job{Kind: KindGeneration, Status: Queued, CreatedAt: noon, RunAt: noon + 60*second}, Typical: 4 * second}, noon + 64*second},
		"a slow call":        {Snapshot{Job: Job{Kind: KindGeneration, Status: InProgress, Work: Work{Attempt: 1}, CreatedAt: noon, StartedAt: noon}, Typical: second, AskedAt: noon + 9*second}, noon + 9*second},
		"a call that waits":  {Snapshot{Job: Job{Kind: KindGeneration, Status: Queued, CreatedAt: noon, ChangedAt: noon}, Typical: 2 * second, AskedAt: noon + 9*second}, noon + 11*second},
		"an unknown call":    {Snapshot{Job: Job{Kind: KindGeneration, Status: Queued, CreatedAt: noon}}, 0},
		"a call's end":       {Snapshot{Job: Job{Kind: KindGeneration, Status: Completed, CreatedAt: noon}, Typical: second}, 0},
		"a fine-tuning":      {Snapshot{Job: Job{Kind: KindTuning, Status: Running, Tuning: &Tuning{EstimatedFinish: noon.Unix() + 9}}}, noon + 9*second},
		"a new fine-tuning":  {Snapshot{Job: Job{Kind: KindTuning, Status: Queued, Tuning: &Tuning{}}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := gjson.GetBytes(tc.s.Wrapped(), "eta")
			require.Equal(t, tc.want.Unix(), got.Int(), got.Raw)
			require.Equal(t, tc.want == 0, got.Type == gjson.Null)
			require.Equal(t, got.Raw, gjson.GetBytes(tc.s.Object(), "eta").Raw)
		})
	}
}
