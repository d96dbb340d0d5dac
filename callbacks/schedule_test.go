package callbacks

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestScheduleIsKeptAndShown(t *testing.T) {
	t.Parallel()
	s := Schedule{0, 20 * time.Second, 5 * time.Minute, 90 * time.Minute, 10 * time.Hour, 1500 * time.Millisecond}
	kept, err := s.Value()
	require.NoError(t, err)
	require.Equal(t, `["0s","20s","5m","1h30m","10h","1.5s"]`, kept)
	var read Schedule
	require.NoError(t, read.Scan(kept))
	require.Equal(t, s, read)
	shown, err := json.Marshal(s)
	require.NoError(t, err)
	require.Equal(t, kept, string(shown))

	none, err := Schedule{}.Value()
	require.NoError(t, err)
	require.Nil(t, none)
	require.NoError(t, read.Scan(nil))
	require.Nil(t, read)
	require.Error(t, read.Scan(`["soon"]`))
	require.Error(t, read.Scan(`{`))
}
