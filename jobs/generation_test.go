package jobs_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/jobs"
)

// TestGenerationByOutcome has a row for each kind of answer: what the generation becomes, why, and after how many calls.
// The provider allows one retry.
func TestGenerationByOutcome(t *testing.T) {
	t.Parallel()
	const good = `{"choices":[{"message":{"content":"yes"}}]}`
	type answer struct {
		status int
		body   string
	}
	tests := []struct {
		name    string
		answers []answer // the last one again and again
		want    jobs.Status
		code    string
		calls   int64
	}{
		{"answered", []answer{{200, good}}, jobs.Completed, "", 1},
		{"a server error, then answered", []answer{{500, `{}`}, {200, good}}, jobs.Completed, "", 2},
		{"server errors", []answer{{500, `{}`}}, jobs.Failed, "overloaded", 2},
		{"refusals are no tries", []answer{{429, `{}`}, {429, `{}`}, {200, good}}, jobs.Completed, "", 3},
		{"a refusal, a server error, then answered", []answer{{429, `{}`}, {500, `{}`}, {200, good}}, jobs.Completed, "", 3},
		{"no quota", []answer{{429, `{"error":{"message":"pay","code":"insufficient_quota"}}`}}, jobs.Failed, "quota_exceeded", 1},
		{"a bad request", []answer{{400, `{"error":{"message":"no"}}`}}, jobs.Failed, "rejected", 1},
		{"a wrong key", []answer{{401, `{"error":{"message":"no"}}`}}, jobs.Failed, "unauthorized", 1},
		{"an error dressed as an answer", []answer{{200, `{"error":{"message":"oh"}}`}}, jobs.Failed, "invalid_answer", 2},
		{"no JSON", []answer{{200, `<html>`}}, jobs.Failed, "invalid_answer", 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			x := newExchange(t)
			x.answer = func(w http.ResponseWriter, _ *http.Request) {
				a := tt.answers[min(int(x.calls.Load()), len(tt.answers))-1]
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(a.status)
				fmt.Fprint(w, a.body)
			}
			ref := x.generation()
			s := x.settle(ref)
			require.Equal(t, tt.want, s.Status, "%s", s.Object())
			require.Equal(t, tt.code, gjson.GetBytes(s.Object(), "error.code").String())
			require.Equal(t, tt.calls, x.calls.Load())
			require.Equal(t, []string{"generation.in_progress", "generation." + string(tt.want)}, x.events(ref))
		})
	}
}
