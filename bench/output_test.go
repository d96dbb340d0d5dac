package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func answered(id string, status int, content string) string {
	return fmt.Sprintf(`{"custom_id":%q,"response":{"status_code":%d,"body":{"choices":[{"message":{"content":%q}}]}},"error":null}`+"\n", id, status, content)
}

func TestCheckOutput(t *testing.T) {
	t.Parallel()
	one, two := answered("line-000000", 200, "a"), answered("line-000001", 200, "b")
	tests := []struct{ name, output, wrong string }{
		{"in any order", two + one, ""},
		{"a line is missing", one, "has 1 lines, the input 2"},
		{"a line is there twice", one + one, "line-000000 is a second time"},
		{"a line too many", one + two + answered("line-000002", 200, "c"), "was never in the input"},
		{"a foreign line", one + answered("mine", 200, "c"), "mine was never in the input"},
		{"a failed line", one + answered("line-000001", 500, "b"), "answered with status 500"},
		{"an empty answer", one + answered("line-000001", 200, ""), "without a text"},
		{"no choices", one + `{"custom_id":"line-000001","response":{"status_code":200,"body":{}}}`, "without a text"},
		{"no response", one + `{"custom_id":"line-000001","response":null}`, "status 0"},
		{"a cut line", one + two[:20], "output line 2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := checkOutput(strings.NewReader(tt.output), 2)
			if tt.wrong == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tt.wrong)
		})
	}
}
