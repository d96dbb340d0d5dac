package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// APIError is an error answer: OpenAI's envelope and what came with it.
// Code, Param and RequestID may be "".
type APIError struct {
	Status    int
	Code      string
	Message   string
	Param     string
	RequestID string
}

// Error is one line: "the server refused (404 not_found, id): No such File
// object: file-x".
func (e *APIError) Error() string {
	about := fmt.Sprint(e.Status)
	if e.Code != "" {
		about += " " + e.Code
	}
	if e.Param != "" {
		about += ", " + e.Param
	}
	line := fmt.Sprintf("the server refused (%s): %s", about, e.Message)
	if e.Status >= 500 {
		line = fmt.Sprintf("the server failed (%s): %s", about, e.Message)
		if e.RequestID != "" {
			line += " (request " + e.RequestID + ", see its log)"
		}
	}
	if e.Status == http.StatusUnauthorized {
		line += " The command line takes it from --key or RINGBACK_API_KEY."
	}
	return line
}

// readAPIError understands OpenAI's envelope and falls back on the status.
func readAPIError(answer *http.Response) *APIError {
	text, _ := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	var envelope struct {
		Error struct {
			Message string `json:"message"`
			Type    string `json:"type"`
			Param   string `json:"param"`
			Code    any    `json:"code"`
		} `json:"error"`
	}
	failure := &APIError{Status: answer.StatusCode, RequestID: answer.Header.Get("x-request-id")}
	if json.Unmarshal(text, &envelope) == nil && envelope.Error.Message != "" {
		failure.Message = clean(oneLine(envelope.Error.Message))
		failure.Param = envelope.Error.Param
		failure.Code = envelope.Error.Type
		if code, ok := envelope.Error.Code.(string); ok && code != "" {
			failure.Code = code
		}
		return failure
	}
	failure.Message = http.StatusText(answer.StatusCode) + ", without a reason; is this a Ringback server?"
	return failure
}
