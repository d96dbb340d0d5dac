package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
)

// R18: whatever a provider answers, the bytes that were signed are the bytes that arrive, and are the event that is
// listed; its result is the provider's answer as it came, or is left out and fetched.
func TestPayloadsArriveAsTheyAre(t *testing.T) {
	t.Parallel()
	said := func(content string) string {
		return `{"choices":[{"index":0,"message":{"role":"assistant","content":` + content + `}}],"usage":{"total_tokens":1}}`
	}
	with := func(member string) string { return strings.TrimSuffix(said(`"hi"`), "}") + "," + member + "}" }
	rows := map[string]struct {
		answer        string
		ends, omitted bool // as completed; without its result
	}{
		"0 B":             {"", false, false},
		"NaN":             {with(`"n":NaN`), false, false},
		"20 KB":           {said(`"` + strings.Repeat("a", 20_000) + `"`), true, false},
		"1 MB":            {said(`"` + strings.Repeat("a", 1_000_000) + `"`), true, true},
		"10 MB":           {said(`"` + strings.Repeat("a", 10_000_000) + `"`), true, true},
		"deep JSON":       {with(`"deep":` + nested(9_000)), true, false},
		"lone surrogates": {said(`"\ud800 and \udfff"`), true, false},
		"NUL":             {said(`"a\u0000b"`), true, false},
		"emoji":           {said(`"😀 \ud83d\ude00 é \u2028"`), true, false},
		"big integers":    {with(`"n":9007199254740993,"m":123456789012345678901234567890,"e":1e400,"z":-0`), true, false},
		"key order":       {with(`"z":1,"a":2,"m":{"y":1,"b":2}`), true, false},
		"duplicate keys":  {with(`"k":1,"k":2,"":3`), true, false},
		"white space":     {" { \"a\" :\t1 ,\n" + strings.TrimPrefix(said(`"<b>&\/"`), "{") + " ", true, false},
	}
	up := startUpstream(t, func(body string) reply { return reply{body: rows[prompt(body)].answer} })
	s := startServer(t, append(openCallbacks(), up.provider(", retries: 0"))...)
	hook := startReceiver(t)
	e := s.register(startReceiver(t), `"generation.*"`, "")
	project := s.secret()
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			job := s.generate(name, hook.field())
			typ := map[bool]string{true: "generation.completed", false: "generation.failed"}[row.ends]
			polled := s.ended(job)
			event := s.read("/v1/events/" + e.wait(job, typ).id()).body
			for c, secret := range map[*callback]string{ptr(e.wait(job, typ)): e.secret, ptr(hook.wait(job, typ)): project} {
				require.NoError(t, c.verify(secret))
				require.Equal(t, string(event), string(c.body))
				require.LessOrEqual(t, len(c.body), 256<<10)
				require.Equal(t, gjson.String, c.get("model_output").Type)
				require.Equal(t, row.omitted, c.get("response_omitted").Bool())
			}
			result := gjson.GetBytes(event, "data.object.result").Raw
			if row.omitted {
				require.NotEqual(t, row.answer, result)
				where := gjson.GetBytes(event, "result_url").String()
				require.True(t, strings.HasPrefix(where, s.url), where)
				result = s.read(strings.TrimPrefix(where, s.url)).get("detail.result").Raw
			}
			if row.ends {
				require.Equal(t, strings.TrimSpace(row.answer), result)
				require.Equal(t, strings.TrimSpace(row.answer), polled.get("result").Raw)
			}
		})
	}
}

func ptr[T any](v T) *T { return &v }

// R15: an endpoint's registration sent 50 times at once with one Idempotency-Key is one endpoint, and all hear its one
// secret; after a crash too.
func TestSameKeyMakesOneEndpoint(t *testing.T) {
	t.Parallel()
	s := startServer(t, openCallbacks()...)
	hook := startReceiver(t)
	body := fmt.Sprintf(`{"url":"%s/hook","event_types":["*"]}`, hook.server.URL)
	headers := []string{"Content-Type", "application/json", "Idempotency-Key", "key"}
	first := s.atOnce(50, http.StatusOK, endpointsPath, body, headers)
	for range 2 {
		require.Equal(t, first, string(s.call(http.StatusOK, "POST", endpointsPath, body, headers...).body))
		refused(t, s.call(http.StatusUnprocessableEntity, "POST", endpointsPath, strings.Replace(body, `"*"`, `"batch.*"`, 1), headers...))
		require.Len(t, s.read(endpointsPath).get("data").Array(), 1)
		s.kill9()
		s.restart()
	}
	id := gjson.Get(first, "id").String()
	s.call(http.StatusOK, "POST", endpointsPath+"/"+id+"/test", "")
	require.NoError(t, hook.all()[0].verify(gjson.Get(first, "signing_secret").String()))
}
