package main

import (
	"bytes"
	"net"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
)

// demoWith goes through the demo's journey against a fake server.
func demoWith(t *testing.T, server *fakeServer) (shown string, err error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	var out bytes.Buffer
	client := server.client()
	err = demoAgainst(t.Context(), client, listener, &journey{client: client, out: newScreen(&out), folder: t.TempDir()}, true)
	return out.String(), err
}

func TestDemoShowsTheJourney(t *testing.T) {
	t.Parallel()
	server := newFakeServer(t)
	shown, err := demoWith(t, server)
	require.NoError(t, err, shown)
	require.Equal(t, demoQuestions, server.uploaded)
	require.Equal(t, 2, bytes.Count([]byte(shown), []byte("signature verified")))
	for _, part := range []string{
		"Called back: batch.completed", "Called back: generation.completed", "X-Custom-Token        demo-",
		"webhook-signature     v1,", "The same by polling", "120 of 120 lines, 0 failed", "40 mph",
		"line-2                200  the answer is 2", "What to try next", "curl -s " + server.URL,
	} {
		require.Contains(t, shown, part)
	}
	require.NotContains(t, shown, "\x1b")
}

func TestDemoNoticesABrokenPromise(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		fault func(*fakeServer)
		want  string
	}{
		{"a body changed on its way", func(f *fakeServer) {
			f.forge = func(body []byte) []byte { return bytes.Replace(body, []byte(`"object"`), []byte(`"Object"`), 1) }
		}, "did not verify"},
		{"another end", func(f *fakeServer) { f.status = "expired" }, "called back with generation.expired"},
		{"polling says otherwise", func(f *fakeServer) {
			f.before = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodGet || r.URL.Path != "/v1/generate/gen_1" {
					return false
				}
				writeJSON(w, 200, map[string]any{"id": "gen_1", "status": "completed", "model": "sim-small", "model_output": "50 mph"})
				return true
			}
		}, `polling gen_1 says model_output "50 mph", its callback said "40 mph"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := newFakeServer(t)
			test.fault(server)
			shown, err := demoWith(t, server)
			require.ErrorContains(t, err, test.want, shown)
		})
	}
}

func TestDemoWantsItsHeaders(t *testing.T) {
	t.Parallel()
	j := &journey{out: newScreen(&bytes.Buffer{}), batch: "batch_1", generation: "gen_1", token: "t", callbacks: map[string]Callback{}}
	callback := Callback{
		Method: "POST", Path: "/hooks/batch", Header: http.Header{"X-Custom-Token": {"t"}},
		Body: []byte(`{"type":"batch.completed","data":{"id":"batch_1"}}`),
	}
	require.ErrorContains(t, j.receive(callback), "lacks its custom headers")
	callback.Header.Set("X-Demo-Job", "batch")
	require.NoError(t, j.receive(callback))
	require.NoError(t, j.receive(callback), "a repeat is dropped")
	require.Len(t, j.callbacks, 1)
	callback.Body = []byte(`{"type":"batch.completed","data":{"id":"batch_2"}}`)
	require.ErrorContains(t, j.receive(callback), "did not submit")
}

func TestDemoConfigOpensOnlyTheReceiver(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	cfg, err := demoConfig(folder, 4711)
	require.NoError(t, err)
	require.Equal(t, []PortRange{{4711, 4711}}, cfg.Callbacks.AllowPorts)
	require.Equal(t, folder+"/data", cfg.DataDir)
	require.Equal(t, "127.0.0.1:0", cfg.Server.Listen)
}

func TestDemoShipsABatch(t *testing.T) {
	t.Parallel()
	require.GreaterOrEqual(t, demoLines(), 100)
	seen := map[string]bool{}
	for line := range bytes.Lines(demoQuestions) {
		require.True(t, gjson.ValidBytes(line))
		seen[gjson.GetBytes(line, "custom_id").String()] = true
	}
	require.Len(t, seen, demoLines())
}
