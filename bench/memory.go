package main

import (
	"context"
	"encoding/json"
	"os"
)

// Memory is serve's most resident memory over a whole job: upload,
// validation, run, and reading the output back.
type Memory struct {
	Lines     int   `json:"lines"`
	FileBytes int64 `json:"file_bytes"`
	Peak      int64 `json:"peak_bytes"`
}

// measureMemory runs a file of few and long lines through a fresh serve. The
// many short lines are measured along with their speed.
func measureMemory(ctx context.Context, l *lab, result *Result) (err error) {
	size := result.Plan
	path := l.path("large.jsonl")
	defer remove(path, &err)
	data, err := l.freshData()
	if err != nil {
		return err
	}
	defer l.clear(data, &err)
	if err := writeInput(path, size.LargeLines, []json.RawMessage{largeBody(size.LargeLine)}); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	server, err := l.serve(ctx, data, l.simulator, size.Concurrency)
	if err != nil {
		return err
	}
	defer server.close(&err)
	file, err := server.upload(server, path)
	if err != nil {
		return err
	}
	id, _, err := l.submit(server, file, size.LargeLines)
	if err != nil {
		return err
	}
	if err := server.checkBatch(id, size.LargeLines); err != nil {
		return err
	}
	result.Answered += size.LargeLines
	result.Large = Memory{Lines: size.LargeLines, FileBytes: info.Size()}
	result.Large.Peak, err = server.peakMemory()
	return err
}
