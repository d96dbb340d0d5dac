package simulator_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"mime/multipart"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/sashabaranov/go-openai"
	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/providers/simulator"
)

const (
	speechPath     = "/v1/audio/speech"
	transcriptPath = "/v1/audio/transcriptions"
)

func TestSpeechIsAWAVThatGrowsWithTheText(t *testing.T) {
	t.Parallel()
	u := serve(t, simulator.Options{})
	got := u.post(speechPath, `{"model":"sim-small","input":"A red hen","voice":"alloy"}`)
	require.Equal(t, http.StatusOK, got.status)
	require.Equal(t, "audio/wav", got.header.Get("Content-Type"))
	le := binary.LittleEndian
	raw := []byte(got.raw)
	require.Equal(t, "RIFF", got.raw[:4])
	require.EqualValues(t, len(raw)-8, le.Uint32(raw[4:]))
	require.Equal(t, "WAVEfmt ", got.raw[8:16])
	require.EqualValues(t, 1, le.Uint16(raw[22:]))
	require.EqualValues(t, 24_000, le.Uint32(raw[24:]))
	require.EqualValues(t, 48_000, le.Uint32(raw[28:]))
	require.EqualValues(t, 16, le.Uint16(raw[34:]))
	require.Equal(t, "data", got.raw[36:40])
	require.EqualValues(t, len(raw)-44, le.Uint32(raw[40:]))
	require.Len(t, raw, 44+len("A red hen")*960)

	other := serve(t, simulator.Options{})
	same := func(body string) bool { return other.post(speechPath, body).raw == got.raw }
	require.True(t, same(`{"model":"sim-small","input":"A red hen","voice":"alloy","response_format":"wav"}`))
	require.False(t, same(`{"model":"sim-small","input":"A bed hen","voice":"alloy"}`))
	require.False(t, same(`{"model":"sim-small","input":"A red hen","voice":"echo"}`))

	pcm := u.post(speechPath, `{"model":"sim-small","input":"A red hen","voice":"alloy","response_format":"pcm"}`)
	require.Equal(t, "audio/pcm", pcm.header.Get("Content-Type"))
	require.Equal(t, got.raw[44:], pcm.raw)
}

func TestSpeechSaysWhatItCannotDo(t *testing.T) {
	t.Parallel()
	u := serve(t, simulator.Options{})
	tests := []struct{ body, param string }{
		{`{"model":"sim-small","voice":"alloy"}`, "input"},
		{`{"model":"sim-small","input":1,"voice":"alloy"}`, "input"},
		{`{"model":"sim-small","input":"` + strings.Repeat("a", 4097) + `","voice":"alloy"}`, "input"},
		{`{"model":"sim-small","input":"a"}`, "voice"},
		{`{"model":"sim-small","input":"a","voice":"alloy","response_format":"mp3"}`, "response_format"},
	}
	for _, tt := range tests {
		require.Equal(t, tt.param, u.refused("POST", speechPath, tt.body, 400).Get("error.param").Str)
	}
	got := u.refused("POST", speechPath, tests[4].body, 400)
	require.Contains(t, got.Get("error.message").Str, "'wav' and 'pcm'")
	u.refused("POST", speechPath, `{"model":"sim-small","input":"[[sim:status=503]]","voice":"alloy"}`, 503)
}

// send posts a form: a file of the given content, unless it is nil, and fields.
func send(u *upstream, path, name string, file io.Reader, fields ...string) answer {
	u.t.Helper()
	var body io.Reader
	var head bytes.Buffer
	form := multipart.NewWriter(&head)
	for i := 0; i < len(fields); i += 2 {
		require.NoError(u.t, form.WriteField(fields[i], fields[i+1]))
	}
	if file == nil {
		require.NoError(u.t, form.Close())
		body = &head
	} else {
		_, err := form.CreateFormFile(name, "sound.mp3")
		require.NoError(u.t, err)
		body = io.MultiReader(&head, file, strings.NewReader("\r\n--"+form.Boundary()+"--\r\n"))
	}
	req, err := http.NewRequestWithContext(u.t.Context(), "POST", u.url+path, body)
	require.NoError(u.t, err)
	req.Header.Set("Content-Type", form.FormDataContentType())
	resp, err := u.client.Do(req)
	require.NoError(u.t, err)
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(u.t, err)
	return answer{resp.StatusCode, resp.Header, string(raw), gjson.ParseBytes(raw)}
}

func transcribe(u *upstream, sound string, fields ...string) answer {
	u.t.Helper()
	return send(u, transcriptPath, "file", strings.NewReader(sound), append(fields, "model", "sim-small")...)
}

func TestTranscriptionDependsOnTheFileAlone(t *testing.T) {
	t.Parallel()
	u := serve(t, simulator.Options{})
	sound := strings.Repeat("la", 32_000) // 4 s
	got := transcribe(u, sound)
	require.Equal(t, http.StatusOK, got.status, got.raw)
	requireWhole(t, got)
	text := got.Get("text").Str
	require.NotEmpty(t, text)
	require.Equal(t, text, transcribe(serve(t, simulator.Options{}), sound, "prompt", "Farm talk", "temperature", "0.5").Get("text").Str)
	require.NotEqual(t, text, transcribe(u, sound[1:]+"l").Get("text").Str)
	require.NotEqual(t, text, transcribe(u, sound+"l").Get("text").Str)

	usage := transcribe(u, sound, "prompt", "Farm talk").Get("usage")
	require.Equal(t, "tokens", usage.Get("type").Str)
	require.EqualValues(t, 2, usage.Get("input_token_details.text_tokens").Int())
	require.EqualValues(t, 40, usage.Get("input_token_details.audio_tokens").Int())
	require.EqualValues(t, 42, usage.Get("input_tokens").Int())
	require.EqualValues(t, simulator.CountTokens(text), usage.Get("output_tokens").Int())
	require.EqualValues(t, 42+simulator.CountTokens(text), usage.Get("total_tokens").Int())
}

func TestTranscriptionFormats(t *testing.T) {
	t.Parallel()
	u := serve(t, simulator.Options{})
	sound := strings.Repeat("la", 32_000)
	whole := transcribe(u, sound, "response_format", "json").Get("text").Str
	plain := func(format string) string {
		got := transcribe(u, sound, "response_format", format)
		require.Equal(t, "text/plain; charset=utf-8", got.header.Get("Content-Type"))
		return got.raw
	}
	require.Equal(t, whole+"\n", plain("text"))
	require.True(t, strings.HasPrefix(plain("srt"), "1\n00:00:00,000 --> 00:00:0"), plain("srt"))
	require.True(t, strings.HasPrefix(plain("vtt"), "WEBVTT\n\n00:00:00.000 --> 00:00:0"), plain("vtt"))

	verbose := transcribe(u, sound, "response_format", "verbose_json", "language", "en")
	require.Equal(t, "en", verbose.Get("language").Str)
	require.EqualValues(t, 4, verbose.Get("duration").Num)
	joined, end := "", 0.0
	for i, segment := range verbose.Get("segments").Array() {
		require.EqualValues(t, i, segment.Get("id").Int())
		require.Equal(t, end, segment.Get("start").Num)
		end = segment.Get("end").Num
		joined += segment.Get("text").Str
	}
	require.Equal(t, whole, joined)
	require.EqualValues(t, 4, end)
}

func TestTranscriptionSaysWhatItCannotDo(t *testing.T) {
	t.Parallel()
	u := serve(t, simulator.Options{})
	tests := []struct {
		name   string
		got    answer
		status int
		param  string
	}{
		{"no file", send(u, transcriptPath, "", nil, "model", "sim-small"), 400, "file"},
		{"another field's file", send(u, transcriptPath, "sound", strings.NewReader("a"), "model", "sim-small"), 400, "file"},
		{"no model", send(u, transcriptPath, "file", strings.NewReader("a")), 400, "model"},
		{"empty file", transcribe(u, ""), 400, "file"},
		{"unknown format", transcribe(u, "a", "response_format", "doc"), 400, "response_format"},
		{"stream", transcribe(u, "a", "stream", "true"), 400, "stream"},
		{"temperature too high", transcribe(u, "a", "temperature", "2"), 400, "temperature"},
		{"temperature of a wrong type", transcribe(u, "a", "temperature", "hot"), 400, "temperature"},
		{"no form", u.post(transcriptPath, `{"model":"sim-small"}`), 400, "file"},
		{"long field", transcribe(u, "a", "prompt", strings.Repeat("a", 1<<20+1)), 400, "prompt"},
		{"directive", transcribe(u, "a", "prompt", "[[sim:status=503]]"), 503, ""},
	}
	for _, tt := range tests {
		require.Equal(t, tt.status, tt.got.status, tt.name+tt.got.raw)
		require.Equal(t, tt.param, tt.got.Get("error.param").Str, tt.name)
	}
}

func TestBrokenFormIsABadRequest(t *testing.T) {
	t.Parallel()
	sim := simulator.New(simulator.Options{})
	for name, body := range map[string]string{
		"no end":      "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nabc",
		"no boundary": "abc",
		"empty":       "",
	} {
		w := recordForm(t, sim, strings.NewReader(body), "multipart/form-data; boundary=b")
		require.Equal(t, http.StatusBadRequest, w.Code, name)
	}
	require.Equal(t, http.StatusBadRequest, recordForm(t, sim, strings.NewReader(""), "multipart/form-data").Code)
}

func TestFileOverTheLimitAnswers413(t *testing.T) {
	t.Parallel()
	u := serve(t, simulator.Options{})
	got := send(u, transcriptPath, "file", &endless{left: 25<<20 + 1}, "model", "sim-small")
	require.Equal(t, http.StatusRequestEntityTooLarge, got.status, got.raw)
	require.Contains(t, got.Get("error.message").Str, "(26214400) exceeded (26214401 bytes read)")
	require.Equal(t, http.StatusOK, send(u, transcriptPath, "file", &endless{left: 25 << 20}, "model", "sim-small").status)
}

// Not parallel: it looks at what all of the process allocates.
func TestMemoryDoesNotGrowWithTheFile(t *testing.T) {
	sim := simulator.New(simulator.Options{})
	head := "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nsim-small\r\n" +
		"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n"
	upload := func(size int64) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		w := recordForm(t, sim, io.MultiReader(strings.NewReader(head), &endless{left: size}, strings.NewReader("\r\n--b--\r\n")), "multipart/form-data; boundary=b")
		runtime.ReadMemStats(&after)
		require.Equal(t, http.StatusOK, w.Code, w.Body.String())
		return after.TotalAlloc - before.TotalAlloc
	}
	upload(1)
	require.Less(t, upload(25<<20), uint64(1<<20))
}

func TestGoOpenAISpeaksAndTranscribes(t *testing.T) {
	t.Parallel()
	u := serve(t, simulator.Options{})
	sound, err := client(u).CreateSpeech(t.Context(), openai.CreateSpeechRequest{Model: "sim-small", Input: "A red hen", Voice: "alloy", ResponseFormat: "wav"})
	require.NoError(t, err)
	defer func() { _ = sound.Close() }()
	text, err := client(u).CreateTranscription(t.Context(), openai.AudioRequest{Model: "sim-small", FilePath: "a.wav", Reader: sound, Format: "verbose_json"})
	require.NoError(t, err)
	require.NotEmpty(t, text.Text)
	require.NotEmpty(t, text.Segments)
}
