package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// outputLine is what the bench reads of a line of an output file.
type outputLine struct {
	CustomID string `json:"custom_id"`
	Response struct {
		StatusCode int `json:"status_code"`
		Body       struct {
			Choices []struct {
				Message struct{ Content string }
			}
		}
	}
}

// checkOutput reads a whole output file and holds it against its input: each
// custom_id from 0 to lines-1 exactly once, each answered 200 with a text.
func checkOutput(r io.Reader, lines int) error {
	seen := make([]bool, lines)
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, 32<<20)
	count := 0
	for ; scanner.Scan(); count++ {
		n, err := checkLine(scanner.Bytes())
		if err != nil {
			return fmt.Errorf("output line %d: %w", count+1, err)
		}
		if n < 0 || n >= lines || seen[n] {
			return fmt.Errorf("output line %d: custom_id %s is a second time in the output, or was never in the input", count+1, customID(n))
		}
		seen[n] = true
	}
	if err := scanner.Err(); err != nil {
		return fmt.Errorf("read the output: %w", err)
	}
	if count != lines {
		return fmt.Errorf("the output has %d lines, the input %d", count, lines)
	}
	return nil
}

// checkLine gives the number in the line's custom_id.
func checkLine(text []byte) (int, error) {
	var line outputLine
	if err := json.Unmarshal(text, &line); err != nil {
		return 0, err
	}
	if line.Response.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s was answered with status %d", line.CustomID, line.Response.StatusCode)
	}
	if choices := line.Response.Body.Choices; len(choices) == 0 || choices[0].Message.Content == "" {
		return 0, fmt.Errorf("%s was answered without a text", line.CustomID)
	}
	digits, ok := strings.CutPrefix(line.CustomID, "line-")
	n, err := strconv.Atoi(digits)
	if !ok || err != nil {
		return 0, errors.New("custom_id " + line.CustomID + " was never in the input")
	}
	return n, nil
}

// checkBatch reads a completed batch and its files.
func (s *serveProcess) checkBatch(id string, lines int) error {
	found, err := s.batch(s, id)
	switch {
	case err != nil:
		return err
	case found.Status != "completed" || found.Counts.Completed != lines || found.Counts.Failed != 0 || found.ErrorFileID != "":
		return fmt.Errorf("%s is %s with %d of %d lines completed and %d failed", id, found.Status, found.Counts.Completed, lines, found.Counts.Failed)
	}
	content, err := s.open(s, "GET", "/v1/files/"+found.OutputFileID+"/content", "", nil)
	if err != nil {
		return err
	}
	defer content.Close()
	return checkOutput(content, lines)
}

// explain is what Ringback itself says of a job whose callback is missing.
func (s *serveProcess) explain(id string) string {
	var job, deliveries json.RawMessage
	err := errors.Join(s.get(s, "/v1/jobs/"+id, &job), s.get(s, "/v1/jobs/"+id+"/deliveries", &deliveries))
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("the server says of the job: %s; of its deliveries: %s", job, deliveries)
}
