package simulator

import (
	"encoding/binary"
	"math"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// Speech is 16-bit mono PCM at 24 kHz, as OpenAI's pcm format is: 20 ms for each
// byte of the text. A byte is one of 16 tones of whole periods, so that nothing
// clicks between two; white space is silent.
const (
	sampleRate  = 24_000
	toneSamples = sampleRate / 50
	toneBytes   = 2 * toneSamples
	toneKinds   = 16
	maxSpeech   = 4096 // characters, as OpenAI has it
)

func askSpeech(c *call) *problem {
	switch {
	case c.req.input.Type == gjson.Null:
		return missing("input")
	case c.req.input.Type != gjson.String:
		return wrongType("input", "a string")
	case utf8.RuneCountInString(c.req.input.Str) > maxSpeech:
		return badRequest("input", "string_above_max_length", "Invalid 'input': use %d characters or fewer.", maxSpeech)
	case c.req.voice.Type == gjson.Null:
		return missing("voice")
	}
	switch format := c.req.format; {
	case format.Type == gjson.Null, format.Str == "wav", format.Str == "pcm":
	default:
		return badRequest("response_format", "invalid_value",
			"Invalid value for 'response_format'. Supported values are: 'wav' and 'pcm'.")
	}
	c.prompt = c.req.input.Str
	c.promptTokens = countTokens(c.prompt)
	return nil
}

// answerSpeech takes the time of as many tokens as the text has.
func (s *Simulator) answerSpeech(c *call) {
	c.outputTokens = c.promptTokens
	c.kind = "audio/pcm"
	if c.req.format.Str != "pcm" {
		c.kind = "audio/wav"
		c.out = appendWAVHead(c.out, len(c.prompt)*toneBytes)
	}
	voice := c.seedOf(c.req.voice.Raw)
	for i := range len(c.prompt) {
		tone := 0 // silence
		if c.prompt[i] > ' ' {
			tone = 1 + int(mix(voice+uint64(c.prompt[i]))%(toneKinds-1))
		}
		c.out = append(c.out, s.tones[tone]...)
	}
}

// appendWAVHead writes the RIFF, fmt and data chunks' heads for size bytes of
// samples.
func appendWAVHead(dst []byte, size int) []byte {
	le := binary.LittleEndian
	dst = append(dst, "RIFF"...)
	dst = append(le.AppendUint32(dst, uint32(36+size)), "WAVEfmt "...)
	dst = le.AppendUint32(dst, 16)
	dst = le.AppendUint16(dst, 1) // PCM
	dst = le.AppendUint16(dst, 1) // one channel
	dst = le.AppendUint32(dst, sampleRate)
	dst = le.AppendUint32(dst, 2*sampleRate) // bytes a second
	dst = le.AppendUint16(dst, 2)            // bytes a sample
	dst = le.AppendUint16(dst, 16)           // bits a sample
	return le.AppendUint32(append(dst, "data"...), uint32(size))
}

// drawTones makes the sounds that speech is put together from; the first is
// silence. A frequency is a multiple of 50 Hz, so that 20 ms hold whole periods.
func drawTones() (tones [toneKinds][]byte) {
	for kind := range tones {
		periods := 0
		if kind > 0 {
			periods = 3 + kind // 200 to 900 Hz
		}
		for i := range toneSamples {
			x := math.Sin(2 * math.Pi * float64(periods*i) / toneSamples)
			tones[kind] = binary.LittleEndian.AppendUint16(tones[kind], uint16(int16(8000*x)))
		}
	}
	return tones
}
