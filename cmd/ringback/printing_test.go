package main

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
)

func TestCells(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{"": 0, "abc": 3, "世界": 4, "é": 1, "e\u0301": 1, "█░…": 3, "🎉": 2, "a\u200bb": 2} {
		require.Equal(t, want, cells(text), text)
	}
	require.Equal(t, "世…", fit("世界世界", 4))
	require.Equal(t, "abcdef", fit("abcdef", 0))
	require.Equal(t, "batc…45XYZ", fitMiddle("batch_012345XYZ", 10))
	require.LessOrEqual(t, cells(fitMiddle("世界世界世界世界", 7)), 7)
	require.Equal(t, "a b�[2Jc�", clean("a\nb\x1b[2Jc\u202e"))
}

func printerOf(out *bytes.Buffer, width int) *printer {
	p := &printer{out: out, screen: &screen{out: out, live: width > 0, size: func() (int, int) { return width, 24 }}, now: time.Unix(100_000, 0)}
	return p
}

func TestTables(t *testing.T) {
	t.Parallel()
	objects := []json.RawMessage{
		json.RawMessage(`{"id":"batch_1","kind":"batch","status":"completed","progress":{"total":1200,"completed":1190,"failed":10},"model":"m","created_at":99940,"metadata":{"name":"世界\u001b[2J"}}`),
		json.RawMessage(`{"id":"gen_22","kind":"generation","status":"queued","progress":{"total":1,"completed":0,"failed":0},"model":"long-model","created_at":10,"metadata":null}`),
	}
	var out bytes.Buffer
	p := printerOf(&out, 0)
	require.NoError(t, p.table(jobColumns(p), objects))
	require.Equal(t, `ID       KIND        STATUS     PROGRESS                MODEL       AGE  NAME
batch_1  batch       completed  1,200/1,200, 10 failed  m           60s  世界�[2J
gen_22   generation  queued                             long-model  27h
`, out.String())

	out.Reset()
	p = printerOf(&out, 30)
	require.NoError(t, p.table(jobColumns(p), objects))
	require.Equal(t, "ID       KIND        STATUS\nbatch_1  batch       completed\ngen_22   generation  queued\n", out.String())

	out.Reset()
	p.json = true
	require.NoError(t, p.table(jobColumns(p), objects[1:]))
	require.Equal(t, string(objects[1])+"\n", out.String(), "the server's own bytes")
}

func TestFields(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := printerOf(&out, 0)
	require.NoError(t, p.fields(gjson.Parse(`{"id":"x","object":"thing","created_at":99990,"none":null,"empty":"","list":["a","b"],
		"counts":{"total":1200,"usage":{"tokens":7}},"deep":[{"a":1}],"active":true,"seed":123456,"text":"two\nlines"}`)))
	require.Equal(t, "id          x\ncreated_at  "+time.Unix(99990, 0).Format(time.DateTime)+" (10s ago)\nlist        a, b\n"+
		"counts      total 1,200, usage (tokens 7)\ndeep        [{\"a\":1}]\nactive      true\nseed        123456\ntext        two lines\n", out.String())
}

func TestTimesOnTheCommandLine(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 25, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"": "", "90m": "2026-01-25T10:30:00Z", "2d": "2026-01-23T12:00:00Z", "1769342400": "2026-01-25T12:00:00Z",
		"2026-01-25T02:00:00+02:00": "2026-01-25T00:00:00Z",
	} {
		got, err := readPast("since", text, now)
		require.NoError(t, err)
		require.Equal(t, want, got, text)
	}
	at, err := readFuture("run-at", "2h", now)
	require.NoError(t, err)
	require.Equal(t, "2026-01-25T14:00:00Z", at)
	for _, text := range []string{"yesterday", "-2h", "xd", "-1d"} {
		_, err := readPast("since", text, now)
		require.Equal(t, exitUsage, exitCode(err), text)
	}
}
