package queue

import (
	"context"
	"fmt"
	"sync"
	"testing"
)

// BenchmarkWake wakes one row at a time as fast as the queue in this process takes them, with a window for all.
func BenchmarkWake(b *testing.B) {
	for _, group := range []int{1, 100} {
		b.Run(fmt.Sprintf("group of %d", group), func(b *testing.B) {
			var done sync.WaitGroup
			work := func(_ context.Context, ids []string) { done.Add(-len(ids)) }
			q, err := Open(Options{Window: b.N + 1, Lanes: []Lane{{Name: "jobs", Workers: 8, Group: group, Work: work}}})
			if err != nil {
				b.Fatal(err)
			}
			ctx, cancel := context.WithCancel(b.Context())
			ended := make(chan error, 1)
			go func() { ended <- q.Run(ctx) }()
			done.Add(b.N)
			for range b.N {
				q.Wake(ctx, "jobs", "gen_01JD0000000000000000000000")
			}
			done.Wait()
			cancel()
			<-ended
		})
	}
}
