package main

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestUsageSaysWhatBoundsAFleet(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		usage Usage
		want  string
	}{
		{"room for more", Usage{Shares: map[string]float64{"the workers": 0.3, "PostgreSQL": 0.2}, Commits: 10, Alone: 1000}, "waiting: 50 % of the cores busy"},
		{"no core is free", Usage{Shares: map[string]float64{"the workers": 0.4, "PostgreSQL": 0.5}, Commits: 10, Alone: 1000}, "the cores, of which PostgreSQL has most"},
		{"as many commits as it can", Usage{Shares: map[string]float64{"PostgreSQL": 0.5}, Commits: 800, Alone: 1000}, "PostgreSQL's commits"},
	} {
		require.Equal(t, tt.want, tt.usage.cap(), tt.name)
	}
	require.Equal(t, "PostgreSQL 40 %, the workers 30 %", Usage{Shares: map[string]float64{"the workers": 0.3, "PostgreSQL": 0.4}}.String())
}

func TestDescendantsAreAddedUp(t *testing.T) {
	t.Parallel()
	s, ok := parseProc("42 (a) b) S 7 42 42 0 -1 4194560 1 2 3 4 150 25 9 1 20 0 7 0 1 1 1")
	require.True(t, ok)
	require.Equal(t, procStat{pid: 42, parent: 7, name: "a) b", own: 1750 * time.Millisecond, children: 100 * time.Millisecond}, s)
	_, ok = parseProc("42 (a) S 1")
	require.False(t, ok)
	rows := map[int]procStat{7: {parent: 3}, 3: {parent: 1}}
	require.True(t, under(rows, 7, 3))
	require.False(t, under(rows, 7, 8))
	used, err := descendants(os.Getpid())
	require.NoError(t, err)
	require.Contains(t, used, "the bench")
	busy, err := busyCores()
	require.NoError(t, err)
	require.Positive(t, busy)
}
