package jobs

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/providers/responses"
)

// said is an event that says a text of an item.
func said(n int64, item, text string) responses.Event {
	const typ = "response.output_text.delta"
	return responses.Event{N: n, Type: typ, Data: fmt.Appendf(nil,
		`{"type":%q,"sequence_number":%d,"item_id":%q,"delta":"%s","logprobs":[]}`, typ, n, item, text)}
}

// keepAll gives the rows of what is said in sets of 100.
func keepAll(t *testing.T, k *keptEvents, all []responses.Event) (rows []ResponseEvent) {
	t.Helper()
	first := all[0].N
	for len(all) > 0 {
		set := all[:min(100, len(all))]
		all = all[len(set):]
		rows = append(rows, k.rows(set)...)
	}
	for i, r := range rows {
		require.Equal(t, first+int64(i), r.N, "gapless")
		require.Equal(t, r.N, gjson.GetBytes(r.Data, "sequence_number").Int(), "%s", r.Data)
		require.Equal(t, r.Type, gjson.GetBytes(r.Data, "type").Str)
		require.True(t, gjson.ValidBytes(r.Data))
	}
	return rows
}

func textOf(rows []ResponseEvent) string {
	var text strings.Builder
	for _, r := range rows {
		text.WriteString(gjson.GetBytes(r.Data, "delta").Str)
	}
	return text.String()
}

// TestOrdinaryAnswersAreKeptAsTheyWereSaid, byte for byte.
func TestOrdinaryAnswersAreKeptAsTheyWereSaid(t *testing.T) {
	t.Parallel()
	var all []responses.Event
	for n := range int64(plainEvents) {
		all = append(all, said(3+n, "msg_1", "x"))
	}
	rows := keepAll(t, newKeptEvents(&Job{ID: "resp_1"}, 1<<20), all)
	require.Len(t, rows, plainEvents)
	for i := range rows {
		require.Equal(t, string(all[i].Data), string(rows[i].Data))
	}
}

// TestAMillionShortWordsTakeLittle, and say the same.
func TestAMillionShortWordsTakeLittle(t *testing.T) {
	t.Parallel()
	const words = 200_000
	all := make([]responses.Event, words)
	for i := range all {
		all[i] = said(int64(7+i), "msg_1", string(rune('a'+i%26)))
	}
	rows := keepAll(t, newKeptEvents(&Job{ID: "resp_1"}, 0), all)
	bytes := 0
	for _, r := range rows {
		bytes += len(r.Data)
	}
	require.Less(t, len(rows), plainEvents+words/50)
	require.Less(t, bytes, 2<<20)
	require.Len(t, textOf(rows), words)
	require.Equal(t, "abcdefghijklmnopqrstuvwxyzab", textOf(rows)[:28])
}

// TestDeltasThatAreJoined: only short ones of the same part that stand beside each other and say nothing of their tokens.
func TestDeltasThatAreJoined(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("l", littleDelta)
	odds := responses.Event{N: 9, Type: "response.output_text.delta", Data: []byte(`{"type":"response.output_text.delta","sequence_number":9,"item_id":"b","delta":"o","logprobs":[{}]}`)}
	done := responses.Event{N: 12, Type: "response.output_text.done", Data: []byte(`{"type":"response.output_text.done","sequence_number":12,"text":"all"}`)}
	set := []responses.Event{
		said(3, "a", `1\ud83d`), said(4, "a", `\ude00`), said(5, "a", ""), said(6, "b", "2"), said(7, "b", long), said(8, "b", "3"), odds,
		said(10, "b", ""), said(11, "b", "4"), done, said(13, "b", "5"),
	}
	var got []string
	for _, e := range joinDeltas(set) {
		v := gjson.ParseBytes(e.Data)
		got = append(got, v.Get("item_id").Str+":"+strings.Trim(v.Get("delta").Raw, `"`)+v.Get("text").Str)
	}
	require.Equal(t, []string{`a:1\ud83d\ude00`, "b:2", "b:" + long, "b:3", "b:o", "b:4", ":all", "b:5"}, got)
}

// TestDeltasBeyondTheBoundAreLeftOut: what ends a part stays, and the numbers have no gap.
func TestDeltasBeyondTheBoundAreLeftOut(t *testing.T) {
	t.Parallel()
	var all []responses.Event
	for n := range int64(50) {
		all = append(all, said(3+n, "a", strings.Repeat("x", 1000)))
	}
	all = append(all, responses.Event{N: 53, Type: "response.output_text.done", Data: []byte(`{"type":"response.output_text.done","sequence_number":53}`)})
	rows := keepAll(t, newKeptEvents(&Job{ID: "resp_1"}, 5000), all)
	require.Equal(t, "response.output_text.done", rows[len(rows)-1].Type)
	require.Equal(t, 19+1, len(rows)) //nolint:testifylint // the rows are too long to be shown
	k := newKeptEvents(&Job{ID: "resp_1"}, 1)
	k.rows(all[:1])
	require.Empty(t, k.rows(all[1:50]), "a set may be nothing but what is left out")
}
