package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
	"pgregory.net/rapid"
)

// echo is an upstream's memory: for each request, byte for byte, the answer to give. What it does not know arrived
// changed.
type echo struct {
	mu      sync.Mutex
	answers map[string]string
}

func (e *echo) teach(body, answer string) (learned string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if known, ok := e.answers[body]; ok {
		return known
	}
	e.answers[body] = answer
	return answer
}

func (e *echo) answer(body string) reply {
	e.mu.Lock()
	defer e.mu.Unlock()
	answer, ok := e.answers[body]
	if !ok {
		return reply{status: 400, body: fmt.Sprintf(`{"error":{"message":%q,"type":"changed","param":null,"code":"changed"}}`, body)}
	}
	return reply{body: answer}
}

// What a batch line says is what the provider gets, and what it answers stands in the output, byte for byte; only raw
// line ends between an answer's tokens become spaces, since a line cannot hold them.
func TestBatchesAreLossless(t *testing.T) {
	t.Parallel()
	memory := &echo{answers: map[string]string{}}
	up := startUpstream(t, memory.answer)
	s := startServer(t, up.provider(", retries: 0"))
	oneLine := strings.NewReplacer("\n", " ", "\r", " ")
	rapid.Check(t, func(r *rapid.T) {
		bodies := rapid.SliceOfN(request, 1, 12).Draw(r, "bodies")
		var input strings.Builder
		want := make([]string, len(bodies))
		for i, body := range bodies {
			want[i] = oneLine.Replace(strings.TrimSpace(memory.teach(body, providerAnswer.Draw(r, "answer"))))
			fmt.Fprintf(&input, "{%s\"custom_id\" :%q,\t\"method\":\"POST\",\"url\":%q,\"body\":%s%s}\n", spaces.Draw(r, "lead"), customID(i), chat, spaces.Draw(r, "space"), body+spaces.Draw(r, "tail"))
		}
		done := s.ended(s.batch(s.input(input.String()), ""))
		require.Equal(r, "completed", done.get("status").String(), "%s", done.body)
		require.Empty(r, s.lines(done.get("error_file_id")), "a request arrived changed")
		for i, text := range s.lines(done.get("output_file_id")) {
			require.Equal(r, customID(i), gjson.Get(text, "custom_id").String())
			require.Equal(r, want[i], gjson.Get(text, "response.body").Raw)
		}
	})
}

// A generation's body reaches the provider as it came, less Ringback's own keys with the comma before each; its result
// is the provider's answer verbatim.
func TestGenerationsAreLossless(t *testing.T) {
	t.Parallel()
	memory := &echo{answers: map[string]string{}}
	up := startUpstream(t, memory.answer)
	s := startServer(t, up.provider(", retries: 0"))
	own := rapid.SampledFrom([]string{
		`"metadata":{"a":"b"}`, `"metadata" : null`, `"webhook":null`, `"webhook_ids":[]`, `"priority":null`, `"run_at" :	null`,
		`"input":null`, `"m\u0065tadata":{}`,
	})
	rapid.Check(t, func(r *rapid.T) {
		sent, forwarded := withOwnKeys(r, rapid.SliceOfNDistinct(own, 0, 3, ownKey).Draw(r, "own"))
		want := strings.TrimSpace(memory.teach(forwarded, providerAnswer.Draw(r, "answer")))
		a := s.call(http.StatusAccepted, "POST", "/v1/generate", sent)
		done := s.ended(a.get("id").String())
		require.Equal(r, "completed", done.get("status").String(), "%s", done.body)
		require.Equal(r, want, done.get("result").Raw)
		require.True(r, done.get("model_output").Type == gjson.String)
		events := s.events(a.get("id").String())
		event := events[len(events)-1]
		require.Equal(r, want, event.Get("data.object.result").Raw)
	})
}

// ownKey is the key of a member as JSON means it.
func ownKey(member string) string {
	key, _, _ := strings.Cut(member, ":")
	return gjson.Parse(strings.TrimSpace(key)).String()
}

// withOwnKeys writes a request with and without Ringback's own members. A member that stays brings the white space
// and the comma before it along.
func withOwnKeys(r *rapid.T, own []string) (sent, forwarded string) {
	kept := map[string]bool{}
	all := chatMembers(r, spaces)
	for _, member := range all {
		kept[member] = true
	}
	for _, member := range own {
		all = insert(r, all, member)
	}
	lead, tail := spaces.Draw(r, "lead"), spaces.Draw(r, "tail")
	first := true
	for i, member := range all {
		comma := ""
		if i > 0 {
			comma = spaces.Draw(r, "before") + "," + spaces.Draw(r, "after")
		}
		sent += comma + member
		if kept[member] {
			if first {
				comma, first = "", false
			}
			forwarded += comma + member
		}
	}
	return "{" + lead + sent + tail + "}", "{" + lead + forwarded + tail + "}"
}
