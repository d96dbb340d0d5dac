package simulator

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"strconv"

	"github.com/tidwall/gjson"
)

const (
	defaultDimensions = 64
	maxDimensions     = 3072
)

func askEmbedding(c *call) (p *problem) {
	if c.req.size, p = integer(c.req.dimensions, "dimensions", 1, maxDimensions, defaultDimensions); p != nil {
		return p
	}
	switch format := c.req.encoding; {
	case format.Type == gjson.Null, format.Str == "float", format.Str == "base64":
	default:
		return badRequest("encoding_format", "invalid_value",
			"Invalid value for 'encoding_format'. Supported values are: 'float' and 'base64'.")
	}
	c.req.stream = false
	return c.inputs(c.req.input, "input")
}

func answerEmbedding(c *call) {
	vector := make([]float32, c.req.size)
	c.out = append(c.out, `{"object":"list","data":[`...)
	for i, in := range c.asked {
		embed(vector, c.seedOf(in.text))
		c.out = appendInt(c.out, separator(i)+`{"object":"embedding","index":`, i)
		c.out = append(c.out, `,"embedding":`...)
		if c.req.encoding.Str == "base64" {
			c.appendBase64(vector)
		} else {
			c.out = appendFloats(c.out, vector)
		}
		c.out = append(c.out, '}')
	}
	c.out = append(append(c.out, `],"model":"`...), c.req.model.name()...)
	c.out = appendInt(c.out, `","usage":{"prompt_tokens":`, c.promptTokens)
	c.out = appendInt(c.out, `,"total_tokens":`, c.promptTokens)
	c.out = append(c.out, `}}`...)
}

// embed fills vector with the unit-length direction that a seed stands for.
func embed(vector []float32, seed uint64) {
	sum := 0.0
	for i := range vector {
		seed = mix(seed + 1)
		x := float64(int64(seed)) / (1 << 63)
		vector[i] = float32(x)
		sum += x * x
	}
	scale := float32(1 / math.Sqrt(sum))
	for i := range vector {
		vector[i] *= scale
	}
}

func appendFloats(dst []byte, vector []float32) []byte {
	dst = append(dst, '[')
	for i, x := range vector {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendFloat(dst, float64(x), 'g', -1, 32)
	}
	return append(dst, ']')
}

// appendBase64 writes the vector as OpenAI does: float32, little-endian.
func (c *call) appendBase64(vector []float32) {
	c.text = c.text[:0]
	for _, x := range vector {
		c.text = binary.LittleEndian.AppendUint32(c.text, math.Float32bits(x))
	}
	c.out = append(c.out, '"')
	c.out = base64.StdEncoding.AppendEncode(c.out, c.text)
	c.out = append(c.out, '"')
}
