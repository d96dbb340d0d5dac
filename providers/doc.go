// Package providers turns a request into a model's answer, or an error that
// says what to do next.
//
// A [Registry] holds the configured upstreams and routes a model to one of
// them. [Provider.Do] makes one call: the body goes out byte for byte as it was
// given, and the answer comes back byte for byte as it was sent. It never
// repeats a call; [Provider.Retry] says whether and when the caller should.
// A [Limiter] gives out the slots of one provider and model in turn by project,
// then by job, and follows what the upstream says about its limits.
//
// The transport is net/http. go-openai stands at the edge only, where it loses
// nothing: its types read upstream errors ([Error]), and its client makes those
// calls about jobs, files and models that it covers, over the same connections
// and with answers read here. Request and answer bodies never pass through its
// structs, which drop zero values and unknown fields.
package providers
