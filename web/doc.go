// Package web speaks HTTP: JSON for programs. It binds a request, calls the service that decides, and renders the
// answer; it holds no rule about jobs. The contract is OpenAI's where OpenAI has one.
//
// Handlers return their error; one table (errors.go) turns it into a status and OpenAI's envelope.
package web
