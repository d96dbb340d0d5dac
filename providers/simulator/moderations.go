package simulator

import (
	"strconv"
	"strings"
)

// A category of moderation is flagged by a text that has one of its words.
type category struct {
	name  string
	words []string
}

var categories = [...]category{
	{"harassment", []string{"idiot", "stupid"}},
	{"harassment/threatening", []string{"beat you up"}},
	{"hate", []string{"hate"}},
	{"hate/threatening", nil},
	{"illicit", []string{"steal"}},
	{"illicit/violent", []string{"bomb"}},
	{"self-harm", []string{"suicide"}},
	{"self-harm/intent", nil},
	{"self-harm/instructions", nil},
	{"sexual", []string{"porn"}},
	{"sexual/minors", nil},
	{"violence", []string{"kill", "murder", "bomb"}},
	{"violence/graphic", []string{"blood"}},
}

// askModeration reads texts as embeddings do; a list of parts is one input.
func askModeration(c *call) *problem {
	c.req.stream = false
	if c.req.input.Get("0").IsObject() {
		c.asked = append(c.asked, textInput(textOf(c.req.input)))
		c.prompt = c.asked[0].text
		return nil
	}
	return c.inputs(c.req.input, "input")
}

func answerModeration(c *call) {
	c.out = c.appendID(append(c.out, `{"id":"`...), "modr-")
	c.out = append(append(c.out, `","model":"`...), c.req.model.name()...)
	c.out = append(c.out, `","results":[`...)
	for i, in := range c.asked {
		c.out = append(c.out, separator(i)...)
		c.out = appendVerdict(c.out, c.seedOf(in.text), strings.ToLower(in.text))
	}
	c.out = append(c.out, `]}`...)
}

func appendVerdict(dst []byte, seed uint64, text string) []byte {
	var hits [len(categories)]bool
	flagged := false
	for i, cat := range categories {
		hits[i] = cat.in(text)
		flagged = flagged || hits[i]
	}
	dst = strconv.AppendBool(append(dst, `{"flagged":`...), flagged)
	dst = appendByCategory(append(dst, `,"categories":`...), func(dst []byte, i int) []byte {
		return strconv.AppendBool(dst, hits[i])
	})
	dst = appendByCategory(append(dst, `,"category_scores":`...), func(dst []byte, i int) []byte {
		seed = mix(seed + 1)
		return strconv.AppendFloat(dst, score(seed, hits[i]), 'f', 6, 64)
	})
	dst = appendByCategory(append(dst, `,"category_applied_input_types":`...), func(dst []byte, _ int) []byte {
		return append(dst, `["text"]`...)
	})
	return append(dst, '}')
}

func (cat category) in(text string) bool {
	for _, word := range cat.words {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}

// score is below 0.05, or from 0.95 on where the category is flagged.
func score(seed uint64, hit bool) float64 {
	x := float64(seed>>11) / (1 << 53) / 20
	if hit {
		return 0.95 + x
	}
	return x
}

func appendByCategory(dst []byte, value func(dst []byte, i int) []byte) []byte {
	for i, cat := range categories {
		open := byte(',')
		if i == 0 {
			open = '{'
		}
		dst = append(append(dst, open, '"'), cat.name...)
		dst = value(append(dst, `":`...), i)
	}
	return append(dst, '}')
}
