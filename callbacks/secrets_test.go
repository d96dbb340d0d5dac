package callbacks

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/jobs"
)

// S14, R17: in a rotation both sign for a day, and the new one alone after it.
func TestR17RotationOverlaps(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	s, err := Secrets{{Text: "one"}}.Rotate("two", true, someTime)
	require.NoError(t, err)
	require.Equal(t, Secrets{{Text: "two"}, {Text: "one", Until: someTime.Add(day)}}, s)
	require.Equal(t, []string{"two", "one"}, s.Live(someTime))
	require.Equal(t, []string{"two", "one"}, s.Live(someTime.Add(day)-1))
	require.Equal(t, []string{"two"}, s.Live(someTime.Add(day)))

	later := someTime.Add(12 * time.Hour)
	s, err = s.Rotate("three", true, later)
	require.NoError(t, err)
	require.Equal(t, Secrets{{Text: "three"}, {Text: "two", Until: later.Add(day)}, {Text: "one", Until: someTime.Add(day)}}, s,
		"an overlap is not made longer")

	s, err = s.Rotate("four", true, someTime.Add(day))
	require.NoError(t, err)
	require.Equal(t, []string{"four", "three", "two"}, s.Live(someTime.Add(day)), "what has ended is dropped")
	require.Len(t, s, 3)
}

func TestRotationWithoutKeepingEndsTheOldOnes(t *testing.T) {
	t.Parallel()
	s, err := Secrets{{Text: "two"}, {Text: "one", Until: someTime + 5}}.Rotate("three", false, someTime)
	require.NoError(t, err)
	require.Equal(t, Secrets{{Text: "three"}}, s)
}

func TestLiveSecretsAreBounded(t *testing.T) {
	t.Parallel()
	s := Secrets{{Text: "first"}}
	var err error
	for range mostSecrets - 1 {
		s, err = s.Rotate("next", true, someTime)
		require.NoError(t, err)
	}
	require.Len(t, s.Live(someTime), mostSecrets)
	_, err = s.Rotate("too many", true, someTime)
	require.True(t, jobs.IsCode(err, jobs.CodeConflict))
	_, err = s.Rotate("without the others", false, someTime)
	require.NoError(t, err)
	_, err = s.Rotate("a day later", true, someTime.Add(overlap))
	require.NoError(t, err)
}
