package clients

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const chatPath = "/v1/chat/completions"

// What prompts ask of the simulator beside an answer.
const (
	quick  = "How many eggs are in three dozen?"
	hang   = "[[sim:hang]] no answer until the call is broken off"
	refuse = "[[sim:status=400]] an error that no retry mends"
)

// input is a batch file with one chat request for each prompt; their custom_ids are line-0, line-1, …
func input(t *testing.T, prompts ...string) string {
	t.Helper()
	var lines strings.Builder
	for i, prompt := range prompts {
		line, err := json.Marshal(map[string]any{
			"custom_id": lineID(i), "method": "POST", "url": chatPath,
			"body": map[string]any{
				"model":    "sim-small",
				"messages": []any{map[string]any{"role": "user", "content": prompt}},
			},
		})
		require.NoError(t, err)
		lines.Write(append(line, '\n'))
	}
	return lines.String()
}

func lineID(i int) string { return "line-" + strconv.Itoa(i) }

// outcome is one line of an output or error file.
type outcome struct {
	ID       string `json:"id"`
	CustomID string `json:"custom_id"`
	Response *struct {
		StatusCode int             `json:"status_code"`
		RequestID  string          `json:"request_id"`
		Body       json.RawMessage `json:"body"`
	} `json:"response"`
	Error *struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

func outcomes(t *testing.T, file []byte) (lines []outcome) {
	t.Helper()
	for text := range strings.Lines(string(file)) {
		var line outcome
		require.NoError(t, json.Unmarshal([]byte(text), &line))
		lines = append(lines, line)
	}
	return lines
}
