package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWriteInputRepeatsTheQuestionsUnderNamesOfTheirOwn(t *testing.T) {
	t.Parallel()
	questions, err := readQuestions()
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(questions), 100)
	path := filepath.Join(t.TempDir(), "input.jsonl")
	require.NoError(t, writeInput(path, 250, questions))
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	n := 0
	for text := range bytes.Lines(content) {
		var line inputLine
		require.NoError(t, json.Unmarshal(text, &line))
		require.Equal(t, customID(n), line.CustomID)
		require.JSONEq(t, string(questions[n%len(questions)]), string(line.Body))
		n++
	}
	require.Equal(t, 250, n)
	require.Error(t, writeInput(path, 1, nil))
}

// The default limits.batch_bytes is 200 MB.
func TestTheLargeFileIsJustBelowTheLimit(t *testing.T) {
	t.Parallel()
	size := fullPlan()
	body := largeBody(size.LargeLine)
	require.True(t, json.Valid(body))
	path := filepath.Join(t.TempDir(), "large.jsonl")
	require.NoError(t, writeInput(path, 10, []json.RawMessage{body}))
	info, err := os.Stat(path)
	require.NoError(t, err)
	whole := info.Size() / 10 * int64(size.LargeLines)
	require.Less(t, whole, int64(200_000_000))
	require.Greater(t, whole, int64(198_000_000))
}
