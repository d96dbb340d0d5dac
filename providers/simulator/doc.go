// Package simulator is an OpenAI-compatible upstream with set latency and
// faults, for demos, tests and benchmarks. It is an [http.Handler] and imports
// nothing of Ringback, so that Ringback meets it as it meets any provider:
// over HTTP.
//
// # Routes
//
//	POST /v1/chat/completions      sim-small, sim-large; stream: true is obeyed
//	POST /v1/completions           sim-small, sim-large
//	POST /v1/responses             sim-small, sim-large; always in the foreground;
//	                               stream: true is obeyed
//	POST /v1/moderations           sim-small, sim-large
//	POST /v1/images/generations    sim-small, sim-large; always b64_json
//	POST /v1/images/edits, /v1/images/variations
//	                               sim-small, sim-large; forms with an image
//	POST /v1/audio/speech          sim-small, sim-large; wav or pcm
//	POST /v1/audio/transcriptions  sim-small, sim-large; a form with a file of up
//	                               to 25 MiB
//	POST /v1/videos                sim-small, sim-large; JSON or a form
//	GET  /v1/videos                the newest first
//	GET  /v1/videos/{id}, DELETE /v1/videos/{id}
//	GET  /v1/videos/{id}/content   an MP4 file, once the video is completed
//	POST /v1/embeddings            sim-embed
//	GET  /v1/models, /v1/models/{id}, /healthz
//	DELETE /v1/models/{id}         a tuned model
//	POST, GET /v1/files            up to 512 MiB; the newest first
//	GET, DELETE /v1/files/{id}; GET /v1/files/{id}/content
//	POST, GET /v1/fine_tuning/jobs; GET /v1/fine_tuning/jobs/{id}
//	POST /v1/fine_tuning/jobs/{id}/cancel, /pause, /resume
//	GET  /v1/fine_tuning/jobs/{id}/events, /checkpoints
//	POST, GET /v1/batches; GET /v1/batches/{id}; POST /v1/batches/{id}/cancel
//
// Everything else answers 404 or 405 in OpenAI's error envelope.
//
// # Answers
//
// An answer's content depends on the model and the prompt alone, across
// processes: the prompt is the last user message of a chat or a response, and
// the prompt or input elsewhere. A prompt with a question mark gets a text that
// ends with a line "#### <number>". IDs and times differ from call to call.
//
// Usage is counted on the texts that came and went. A token is a run of letters
// and digits of at most 16 bytes, or one other sign, each with the white space
// before it; white space that ends a text is one more. Prompts given as token
// arrays count their elements. An image counts as 64 output tokens, one a pixel.
//
// Speech is 20 ms of tones for each byte of the text; it takes the time of the
// text's tokens. A transcription depends on the model and the file's bytes alone;
// its directives are read from the form's prompt.
//
// A video is queued for a tenth of Options.MediaTime, then in_progress, and ends
// when that time has passed. It exists from the submission on, even where the
// answer breaks off: a second submission with the same Idempotency-Key answers the
// same video, whatever else it says, and creates none. Videos are kept in memory
// until they are deleted. Submissions are model calls, polls are not.
//
// GET /healthz counts model calls ("calls"), those of them that were answered 429
// ("refused"), and the videos created ("videos").
//
// # Files, fine-tuning and batches
//
// These are kept in Options.Dir, where the next simulator finds them again, or
// until Close. They need the API key, but count neither as model calls nor
// against RPM, and the shares of faults pass over them. Unknown parameters are
// refused, as at OpenAI.
//
// A fine-tuning job takes its course by the clock alone: with Options.TuneTime T
// it validates for T/10, waits in the queue until T/6 and runs for T, in 20 steps
// with a metrics event each and three checkpoints; a result file of CSV follows.
// What its files teach is read at the creation, so they may be deleted then. A
// training file with fewer than 10 lines, or with a line that is no JSON object,
// ends the job as failed. A resumed job is queued again for T/15. trained_tokens
// are those of the texts in the training file, by this package's measure, times
// n_epochs ("auto" is 3).
//
// The model ft:{model}:ringback:{suffix}:{8 hex digits} answers chats,
// completions and responses until it is deleted; so do its checkpoints. It puts
// its answers together from halves of those in the training file, so that they
// have their form: learnt from worked answers that end with "#### 72" it ends with
// such a line, and it looks for a text that fits into the token limit.
//
// A batch gives its lines to the routes above, 16 at once. They count as model
// calls, the shares of faults and directives hold for them, RPM does not. A call
// that is cut or answers no JSON becomes a line with status 500. A line that hangs
// holds the batch in_progress until it is cancelled, so a test can stop one there.
// Lines that a cancel leaves unanswered stand in no file. A batch that was not done
// when the simulator closed answers all of its lines again at the next start.
//
// Two things bring a client to miss the answer to what it created. A file whose
// name has a directive is kept before that is played: after [[sim:reset]] it is
// there and the client does not know its ID. And a fine-tuning job takes words in
// its metadata's key sim:
//
//	fail_at=5      the job fails at step 5 (1 to 20) with the code training_failed
//	hang_create=1  the job is created and the connection reset without an answer,
//	               where no job was created from this training file before
//
// # Directives
//
// A prompt can carry directives that change the answer it gets:
//
//	[[sim:status=429 retry_after=2]]  an error of that status (400 to 599), with Retry-After
//	[[sim:hang]]                      no answer until the client goes away
//	[[sim:reset]]                     the connection is reset before any answer
//	[[sim:reset=body]]                the connection is reset in mid-answer
//	[[sim:truncate]]                  the body ends half-way: Content-Length says more
//	[[sim:html]]                      an HTML error page with status 502
//	[[sim:error200]]                  status 200 with an error for a body
//	[[sim:type=text/plain]]           the right body under another Content-Type
//	[[sim:bytes=N]]                   a text of exactly N bytes, whatever the token
//	                                  limit and without the time per token
//	[[sim:drip=5s]]                   the body spread over that time
//	[[sim:wait=100ms]]                that much latency more, before anything else
//	[[sim:call]]                      a call of a function in the request's tools
//	[[sim:fail]]                      a video that ends as failed
//
// Words can share one directive, and a prompt can carry several: later ones are
// added to earlier ones. With times=N among its words a directive holds only for
// the first N calls with that very prompt, so that a retry gets through:
//
//	[[sim:status=500 times=2]]
//
// A directive that cannot be read answers 400 and says why. In a list of inputs
// a directive in any of them holds for the call. The bytes directive is for
// texts: embeddings, moderations, images, speech and videos pass over it.
//
// The call directive is for chat completions and responses. The function is the
// one that tool_choice names, else the first; its arguments fit its schema's
// properties, whatever the token limit. It is passed over without functions, with
// tool_choice "none", and where the conversation ends with what a tool gave.
//
// # Waiting
//
// Every wait ends with the request's context: when the client goes away, or when
// the server cancels its BaseContext. Do the latter before [http.Server.Shutdown],
// which else waits for calls that hang.
package simulator
