package simulator

import (
	"strconv"
	"strings"
)

// hashStart and hashPrime are those of 64-bit FNV-1a.
const (
	hashStart uint64 = 14695981039346656037
	hashPrime uint64 = 1099511628211
)

// hash goes on from h with s. It is the same in every process.
func hash(h uint64, s string) uint64 {
	for i := 0; i < len(s); i++ {
		h = (h ^ uint64(s[i])) * hashPrime
	}
	return h
}

// seedOf is what an answer depends on.
func (c *call) seedOf(text string) uint64 {
	return hash(hash(hashStart, c.req.model.name()), text)
}

// compose writes a text for a prompt into the call and says whether the token
// limit cut it. Each choice of one prompt has a text of its own.
func (c *call) compose(prompt string, choice int) (tokens int, cut bool) {
	state := mix(c.seedOf(prompt) + uint64(choice))
	if c.plan.bytes >= 0 {
		c.text = fill(c.text[:0], state, c.plan.bytes)
		return countTokens(c.text), false
	}
	c.text = c.appendAnswer(c.text[:0], state, prompt)
	c.text, tokens, cut = clip(c.text, c.req.limit)
	return tokens, cut
}

// appendAnswer appends what a tuned model has learnt, or what its base says.
func (c *call) appendAnswer(dst []byte, state uint64, prompt string) []byte {
	if len(c.lessons) > 0 {
		return c.lessons.appendAnswer(dst, state, c.req.limit)
	}
	dst = appendSentences(dst, state, c.req.model)
	if strings.Contains(prompt, "?") {
		dst = append(dst, "\n#### "...)
		dst = strconv.AppendUint(dst, mix(state)%1000, 10)
	}
	return dst
}

// appendSentences appends 3 to 6 sentences, twice as many of the large model.
func appendSentences(dst []byte, state uint64, m model) []byte {
	n := 3 + int(state>>60)&3
	if m.base() == simLarge {
		n *= 2
	}
	for i := range n {
		if i > 0 {
			dst = append(dst, ' ')
		}
		state = mix(state + 1)
		dst = append(dst, sentences[state%uint64(len(sentences))]...)
	}
	return dst
}

// fill makes a text of exactly size bytes, all of them ASCII.
func fill(dst []byte, state uint64, size int) []byte {
	if cap(dst) < size {
		dst = make([]byte, 0, size+1024)
	}
	for len(dst) < size {
		dst = append(appendSentences(dst, state, simSmall), ' ')
		state = mix(state + 1)
	}
	return dst[:size]
}

// sentences are ASCII, so that a text can be cut at any byte.
var sentences = [...]string{
	"Start with what the question gives.",
	"Write each quantity beside its unit.",
	"Add the parts that belong together.",
	"Take away what was used before.",
	"Multiply the count by the price of one.",
	"Share the rest in equal parts.",
	"Read the last sentence again: it names the result.",
	"Half of the first amount is the second.",
	"Convert hours to minutes first.",
	"The total grows by the same amount each day.",
	"Check the sign of the difference.",
	"Nothing else changes, so the rest stays as it was.",
	"A small table makes the steps clear.",
	"Compare both sides before you go on.",
	"Round only at the end.",
	"Each step uses the result of the step before.",
	"Percentages refer to the original value.",
	"The remainder is what we look for.",
	"Count every item once.",
	"Twice as many means two for each.",
	"Now put the numbers in.",
	"The order of these two steps does not matter.",
	"An estimate gives the same size of answer.",
	"Work backwards from the end to be sure.",
	"Keep the larger part aside.",
	"This leaves one unknown.",
	"Divide by the number of people.",
	"The average lies between the two.",
	"Set both expressions equal.",
	"Collect the terms on one side.",
	"The units cancel as they should.",
	"So the answer follows.",
}
