package queue

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What one process tells, all others hear, also after Redis was away; with a Redis of its own nobody is told.
func TestNewsReachOtherProcesses(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	heard := make(chan string, 1000)
	listener, _ := runQueue(t, Options{Redis: server.URL(), Heard: func(id string) { heard <- id }})
	teller, _ := runQueue(t, Options{Redis: server.URL()})
	hears := func(id string) {
		t.Helper()
		require.Eventually(t, func() bool {
			teller.Tell(id)
			for {
				select {
				case got := <-heard:
					if got == id {
						return true
					}
				case <-time.After(50 * time.Millisecond):
					return false
				}
			}
		}, patience, time.Millisecond)
	}
	hears("default/batch_1")
	require.NoError(t, server.Kill())
	began := time.Now()
	for range 10 * newsMost { // what cannot be told is dropped: nobody waits
		teller.Tell("default/batch_2")
	}
	require.Less(t, time.Since(began), time.Second)
	require.NoError(t, server.Start())
	hears("default/batch_3")
	require.NoError(t, listener.Ping(t.Context()))
}

func TestNobodyIsToldAlone(t *testing.T) {
	t.Parallel()
	q, _ := runQueue(t, Options{Heard: func(string) { t.Error("there is nobody else") }})
	for range 2 * newsMost {
		q.Tell("default/batch_1")
	}
	require.Empty(t, q.news)
}
