// Package clients proves that programs written for OpenAI work with Ringback as they are. It has no code of its own:
// its tests build the command, run `ringback serve` with its simulator, and drive it with the clients that people
// use, only their base URL changed.
//
//   - OpenAI's own client (github.com/openai/openai-go): files, batches, auto-paging, errors as typed values, retries,
//     and its webhook helper over callbacks as they arrived.
//   - go-openai (github.com/sashabaranov/go-openai): files and batches.
//   - OpenAI's API document: where RINGBACK_OPENAI_SPEC names it (openapi.yaml, or a part of it with files, batches
//     and webhooks), each answer that any client here gets, each error and each callback is checked against it, and a
//     batch is taken through every state. Without the variable these tests are skipped and say so.
//
// The clients live in a module of their own, so that no program that builds Ringback has to fetch them; nothing of
// Ringback is imported. Run them with
//
//	cd clients && RINGBACK_OPENAI_SPEC=/path/to/openapi.yaml go test ./...
//
// A run takes a few seconds, and a minute with the document: the shortest completion window is one minute, and a
// batch is waited for until it has expired.
package clients
