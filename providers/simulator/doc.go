// Package simulator is an OpenAI-compatible upstream with set latency and
// faults, for demos, tests and benchmarks. It is an [http.Handler] and imports
// nothing of Ringback, so that Ringback meets it as it meets any provider:
// over HTTP.
//
// # Routes
//
//	POST /v1/chat/completions    sim-small, sim-large; stream: true is obeyed
//	POST /v1/completions         sim-small, sim-large
//	POST /v1/responses           sim-small, sim-large; always in the foreground
//	POST /v1/moderations         sim-small, sim-large
//	POST /v1/images/generations  sim-small, sim-large; always b64_json
//	POST /v1/embeddings          sim-embed
//	GET  /v1/models, /v1/models/{id}, /healthz
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
//
// Words can share one directive, and a prompt can carry several: later ones are
// added to earlier ones. With times=N among its words a directive holds only for
// the first N calls with that very prompt, so that a retry gets through:
//
//	[[sim:status=500 times=2]]
//
// A directive that cannot be read answers 400 and says why. In a list of inputs
// a directive in any of them holds for the call. The bytes directive is for
// texts: embeddings, moderations and images pass over it.
//
// # Waiting
//
// Every wait ends with the request's context: when the client goes away, or when
// the server cancels its BaseContext. Do the latter before [http.Server.Shutdown],
// which else waits for calls that hang.
package simulator
