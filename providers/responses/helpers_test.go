package responses_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/providers/responses"
)

// counter makes IDs that tests can name: msg_1, fc_2, …
func counter() responses.NewID {
	n := 0
	return func(prefix string) string {
		n++
		return fmt.Sprintf("%s%d", prefix, n)
	}
}

// object is a response that waits for its answer.
func object(t *testing.T, body string) responses.Object {
	t.Helper()
	r, err := responses.Parse([]byte(body))
	require.NoError(t, err)
	return responses.Object{ID: "resp_1", Status: responses.InProgress, Model: r.Model, CreatedAt: 100, CompletedAt: 105, Settings: r.Settings()}
}

const question = `{"model":"m","input":"hi","background":true,"temperature":0,"metadata":{"a":"b"}}`

func requireJSON(t *testing.T, b []byte) gjson.Result {
	t.Helper()
	require.True(t, json.Valid(b), "not JSON: %s", b)
	return gjson.ParseBytes(b)
}

// keys are the top-level keys that stand more than once.
func repeatedKeys(v gjson.Result) (twice []string) {
	seen := map[string]bool{}
	v.ForEach(func(key, _ gjson.Result) bool {
		if seen[key.String()] {
			twice = append(twice, key.String())
		}
		seen[key.String()] = true
		return true
	})
	return twice
}

func types(events []responses.Event) (found []string) {
	for _, e := range events {
		found = append(found, e.Type)
	}
	return found
}

// requireGapless wants each event to be JSON that names its own type and number, the numbers one after the other.
func requireGapless(t *testing.T, first int64, events []responses.Event) {
	t.Helper()
	for i, e := range events {
		v := requireJSON(t, e.Data)
		require.Equal(t, first+int64(i), e.N)
		require.Equal(t, e.N, v.Get("sequence_number").Int())
		require.Equal(t, e.Type, v.Get("type").Str)
		require.False(t, v.Get("error").Exists(), "an event with a top-level error ends a client's stream: %s", e.Data)
		require.Empty(t, repeatedKeys(v))
		require.False(t, bytes.ContainsAny(e.Data, "\n\r"))
	}
}
