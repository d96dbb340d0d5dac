package pages

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/stretchr/testify/require"
)

// firstLook is what a page's stream sends first.
func (d *desk) firstLook(path string) (sent []change) {
	d.t.Helper()
	ended, end := context.WithCancel(d.t.Context())
	end() // the server stops: what has been seen is sent, and that is all
	d.pages.Until = ended
	w := d.get(path, "Accept", "text/event-stream")
	require.Equal(d.t, "text/event-stream", w.Header().Get("Content-Type"))
	return changesOf(d.t, w.Body.String())
}

func changesOf(t require.TestingT, stream string) (sent []change) {
	for message := range strings.SplitSeq(stream, "\n\n") {
		data, ok := strings.CutPrefix(message, "data: ")
		if !ok {
			continue
		}
		var c change
		require.NoError(t, json.Unmarshal([]byte(data), &c))
		sent = append(sent, c)
	}
	return sent
}
