package simulator

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

const (
	// maxAudio is OpenAI's limit on a file to transcribe.
	maxAudio = 25 << 20
	// audioRate is how many bytes of a file count as a second of sound, whatever
	// its format; a second counts as ten tokens.
	audioRate = 16_000
)

// askTranscription reads the fields of a form. Directives are read from the
// prompt; the answer depends on the file alone.
func askTranscription(c *call) *problem {
	switch {
	case c.file.count == 0:
		return missing("file")
	case c.file.size > maxAudio:
		return &problem{
			status: http.StatusRequestEntityTooLarge, typ: invalidRequest, param: "file",
			message: fmt.Sprintf("Maximum content size limit (%d) exceeded (%d bytes read). Send a shorter file.", maxAudio, c.file.size),
		}
	case c.file.size == 0:
		return badRequest("file", "invalid_value", "Invalid 'file': it is empty. Send the audio's bytes.")
	case c.req.stream:
		return noStreaming("/v1/audio/transcriptions")
	}
	if t := c.req.temperature; t.Type != gjson.Null && (t.Type != gjson.Number || t.Num < 0 || t.Num > 1) {
		return badRequest("temperature", "invalid_value", "Invalid 'temperature': use a number from 0 to 1.")
	}
	switch c.req.format.Str {
	case "", "json", "text", "verbose_json", "srt", "vtt":
	default:
		return badRequest("response_format", "invalid_value",
			"Invalid value for 'response_format'. Supported values are: 'json', 'text', 'srt', 'verbose_json' and 'vtt'.")
	}
	c.prompt = c.req.prompt.Str
	c.promptTokens = countTokens(c.prompt)
	return c.tokenLimit(gjson.Result{}, "")
}

func answerTranscription(c *call) {
	heard := strconv.FormatUint(c.file.sum, 16) + "/" + strconv.FormatInt(c.file.size, 10)
	c.outputTokens, _ = c.compose(heard, 0)
	length := time.Duration(c.file.size) * time.Second / audioRate
	switch format := c.req.format.Str; format {
	case "text":
		c.kind = "text/plain; charset=utf-8"
		c.out = append(append(c.out, c.text...), '\n')
	case "srt", "vtt":
		c.kind = "text/plain; charset=utf-8"
		c.out = appendSubtitles(c.out, format, sentencesOf(string(c.text), length))
	case "verbose_json":
		c.out = c.appendVerbose(c.out, length)
	default:
		c.out = appendString(append(c.out, `{"text":`...), c.text)
		c.out = c.appendAudioUsage(c.out, length)
	}
}

func (c *call) appendAudioUsage(dst []byte, length time.Duration) []byte {
	heard := max(1, int(length/(time.Second/10)))
	dst = appendInt(dst, `,"usage":{"type":"tokens","input_tokens":`, c.promptTokens+heard)
	dst = appendInt(dst, `,"input_token_details":{"text_tokens":`, c.promptTokens)
	dst = appendInt(dst, `,"audio_tokens":`, heard)
	dst = appendInt(dst, `},"output_tokens":`, c.outputTokens)
	dst = appendInt(dst, `,"total_tokens":`, c.promptTokens+heard+c.outputTokens)
	return append(dst, `}}`...)
}

func (c *call) appendVerbose(dst []byte, length time.Duration) []byte {
	language := c.req.language.Str
	if language == "" {
		language = "english"
	}
	dst = appendString(append(dst, `{"task":"transcribe","language":`...), language)
	dst = appendSeconds(append(dst, `,"duration":`...), length)
	dst = appendString(append(dst, `,"text":`...), c.text)
	dst = append(dst, `,"segments":[`...)
	for i, s := range sentencesOf(string(c.text), length) {
		dst = appendInt(dst, separator(i)+`{"id":`, i)
		dst = appendSeconds(append(dst, `,"seek":0,"start":`...), s.start)
		dst = appendSeconds(append(dst, `,"end":`...), s.end)
		dst = appendString(append(dst, `,"text":`...), s.text)
		dst = append(dst, `,"tokens":[],"temperature":0,"avg_logprob":-0.25,"compression_ratio":1,"no_speech_prob":0.01}`...)
	}
	dst = appendInt(dst, `],"usage":{"type":"duration","seconds":`, int64(length.Round(time.Second)/time.Second))
	return append(dst, `}}`...)
}

// A sentence is one of a transcription, with its share of the time.
type sentence struct {
	text       string
	start, end time.Duration
}

// sentencesOf parts a text after each full stop and each line break. Together
// they have all its bytes.
func sentencesOf(text string, length time.Duration) (list []sentence) {
	at := func(i int) time.Duration { return time.Duration(float64(length) * float64(i) / float64(len(text))) }
	start := 0
	for i := range len(text) {
		last := i == len(text)-1
		if !last && text[i] != '\n' && !strings.HasPrefix(text[i:], ". ") {
			continue
		}
		list = append(list, sentence{text[start : i+1], at(start), at(i + 1)})
		start = i + 1
	}
	return list
}

// appendSubtitles writes SubRip, or WebVTT, which has a head, no need for numbers
// and a point before the milliseconds.
func appendSubtitles(dst []byte, format string, list []sentence) []byte {
	point := ","
	if format == "vtt" {
		dst = append(dst, "WEBVTT\n\n"...)
		point = "."
	}
	for i, s := range list {
		if format == "srt" {
			dst = append(strconv.AppendInt(dst, int64(i+1), 10), '\n')
		}
		dst = fmt.Appendf(dst, "%s --> %s\n%s\n\n", clock(s.start, point), clock(s.end, point), strings.TrimSpace(s.text))
	}
	return dst
}

func clock(d time.Duration, point string) string {
	ms := d.Milliseconds()
	return fmt.Sprintf("%02d:%02d:%02d%s%03d", ms/3_600_000, ms/60_000%60, ms/1000%60, point, ms%1000)
}

func appendSeconds(dst []byte, d time.Duration) []byte {
	return strconv.AppendFloat(dst, float64(d.Milliseconds())/1000, 'f', -1, 64)
}
