package simulator

import (
	"bytes"
	"encoding/base64"
	"image"
	"image/color"
	"image/png"

	"github.com/tidwall/gjson"
)

const (
	imageSide   = 8
	imageTokens = imageSide * imageSide
	imageColors = 16
)

func askImage(c *call) *problem {
	c.req.stream = false
	switch c.req.prompt.Type {
	case gjson.String:
	case gjson.Null:
		return missing("prompt")
	default:
		return wrongType("prompt", "a string")
	}
	c.prompt = c.req.prompt.Str
	c.promptTokens = countTokens(c.prompt)
	return nil
}

func (s *Simulator) answerImage(c *call) {
	c.out = appendInt(c.out, `{"created":`, c.started.Unix())
	c.out = append(c.out, `,"data":[`...)
	seed := c.seedOf(c.prompt) + c.file.sum
	for i := range c.req.choices {
		c.out = append(c.out, separator(i)+`{"b64_json":"`...)
		c.out = append(c.out, s.images[(seed+uint64(i))%imageColors]...)
		c.out = append(c.out, `"}`...)
	}
	c.outputTokens = imageTokens * c.req.choices
	seen := imageTokens * c.file.count
	c.out = appendInt(c.out, `],"usage":{"input_tokens":`, c.promptTokens+seen)
	c.out = appendInt(c.out, `,"input_tokens_details":{"text_tokens":`, c.promptTokens)
	c.out = appendInt(c.out, `,"image_tokens":`, seen)
	c.out = appendInt(c.out, `},"output_tokens":`, c.outputTokens)
	c.out = appendInt(c.out, `,"total_tokens":`, c.promptTokens+seen+c.outputTokens)
	c.out = append(c.out, `}}`...)
}

// palette draws the images that answers choose from, each of one colour, as
// base64 of a PNG: drawing one a call would cost more than the call.
func palette() []string {
	images := make([]string, imageColors)
	for i := range images {
		shade := uint8(i * 255 / (imageColors - 1))
		fill := color.RGBA{R: shade, G: 255 - shade, B: 128, A: 255}
		picture := image.NewPaletted(image.Rect(0, 0, imageSide, imageSide), color.Palette{fill})
		var b bytes.Buffer
		// Encoding a valid picture into memory has no way to fail.
		_ = png.Encode(&b, picture)
		images[i] = base64.StdEncoding.EncodeToString(b.Bytes())
	}
	return images
}
