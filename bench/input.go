package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// inputLine is one line of a batch input file.
type inputLine struct {
	CustomID string          `json:"custom_id"`
	Method   string          `json:"method"`
	URL      string          `json:"url"`
	Body     json.RawMessage `json:"body"`
}

// customID is the name of the n-th line, from 0.
func customID(n int) string { return fmt.Sprintf("line-%06d", n) }

// readQuestions gives the bodies of the demo's batch, in order.
func readQuestions() ([]json.RawMessage, error) {
	path, err := questionsPath()
	if err != nil {
		return nil, err
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the demo's questions: %w", err)
	}
	var bodies []json.RawMessage
	for line := range bytes.Lines(content) {
		var read inputLine
		if err := json.Unmarshal(line, &read); err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", path, len(bodies)+1, err)
		}
		bodies = append(bodies, read.Body)
	}
	return bodies, nil
}

// questionsPath asks Go for the package's folder, so that the bench runs from
// any folder of the module.
func questionsPath() (string, error) {
	folder, err := exec.Command("go", "list", "-f", "{{.Dir}}", "github.com/ringback/ringback/cmd/ringback").Output()
	if err != nil {
		return "", fmt.Errorf("find the demo's questions (run the bench inside the repository): %w", err)
	}
	return filepath.Join(strings.TrimSpace(string(folder)), "demo", "questions.jsonl"), nil
}

// writeInput writes a batch input file: the bodies over and over, each line
// with its own custom_id.
func writeInput(path string, lines int, bodies []json.RawMessage) (err error) {
	if len(bodies) == 0 {
		return errors.New("there are no questions to write")
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	out := bufio.NewWriterSize(file, 1<<20)
	encoder := json.NewEncoder(out)
	for n := range lines {
		line := inputLine{CustomID: customID(n), Method: "POST", URL: "/v1/chat/completions", Body: bodies[n%len(bodies)]}
		if err := encoder.Encode(line); err != nil {
			return err
		}
	}
	return out.Flush()
}

// largeBody is a call of about the given number of bytes, nearly all of them
// the prompt's.
func largeBody(size int) json.RawMessage {
	const word = "Each robe takes two bolts of blue fibre and half that much white fibre. "
	const frame = `{"model":"sim-small","messages":[{"role":"user","content":"How many bolts in all? %s"}],"max_tokens":32}`
	fill := strings.Repeat(word, size/len(word)+1)[:max(0, size-len(frame))]
	return fmt.Appendf(nil, frame, fill)
}
