package main

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"slices"
	"time"

	"github.com/ringback/ringback/callbacks/signature"
	"github.com/ringback/ringback/jobs"
)

// trialWant is what a receiver should answer.
type trialWant int

const (
	wantTaken   trialWant = iota // 2xx
	wantRefused                  // 4xx
)

func (w trialWant) String() string {
	if w == wantRefused {
		return "4xx"
	}
	return "2xx"
}

// trialCase is one row: what is sent, and what to mend where the answer is not
// the one that is wanted.
type trialCase struct {
	name   string
	want   trialWant
	mend   string
	calls  func(*trialKit) []callbackCall
	first  bool // without it the others say nothing
	should bool // a wrong answer is worth a warning only
	atOnce bool
}

// trialCases are in the order in which they are sent; the burst is last, since
// it may set off a limit.
func trialCases() []trialCase {
	return slices.Concat(goodCases(), forgedCases(), oldCases(), robustCases(), methodCases(), burstCases())
}

func goodCases() []trialCase {
	return []trialCase{
		{name: "good callback", want: wantTaken, first: true, calls: one((*trialKit).again)},
		{
			name: "the same again", want: wantTaken, calls: one(func(k *trialKit) callbackCall {
				call := k.again()
				call.Header.Set("X-Ringback-Attempt", "2")
				return call
			}),
			mend: "a webhook-id that you have seen before is a repeat: act on it once, and answer 2xx each time",
		},
	}
}

func forgedCases() []trialCase {
	return []trialCase{
		{
			name: "forged: another secret", want: wantRefused, calls: one(forged),
			mend: "it accepts forgeries: verify webhook-signature with your secret before anything else, and answer 401",
		},
		{
			name: "altered body", want: wantRefused, calls: one(alteredBody),
			mend: "it accepts another body under a good signature: compute the signature over the raw bytes that came",
		},
		{
			name: "missing signature", want: wantRefused, calls: one(unsigned),
			mend: "it accepts forgeries: a request without webhook-signature must be refused, not let through",
		},
		{
			name: "altered id", want: wantRefused, calls: one(alteredID),
			mend: "it accepts another webhook-id, so that a repeat passes as new: sign id.timestamp.body, not the body alone",
		},
		{
			name: "unknown version only", want: wantRefused, calls: one(unknownVersion),
			mend: "it accepts forgeries: pass over signatures of versions you do not know, and refuse where no v1 matches",
		},
	}
}

func forged(k *trialKit) callbackCall {
	e, now := newBatchEvent("completed", 2, newTrialBatch()), time.Now()
	return signedCallback(k.other, e.id, now, e.body(now))
}

func alteredBody(k *trialKit) callbackCall {
	call := k.fresh()
	call.Body = newBatchEvent("completed", 2, newTrialBatch()).body(time.Now())
	return call
}

func unsigned(k *trialKit) callbackCall {
	call := k.fresh()
	call.Header.Del(signature.HeaderSignature)
	call.Header.Del(signature.DefaultBodyHeader)
	return call
}

// alteredID is what somebody can make of a callback that was overheard: the
// signature of the body alone still holds.
func alteredID(k *trialKit) callbackCall {
	call := k.fresh()
	call.Header.Set(signature.HeaderID, jobs.NewID("evt_"))
	return call
}

func unknownVersion(k *trialKit) callbackCall {
	call := forged(k)
	call.Header.Set(signature.HeaderSignature, "v2"+call.Header.Get(signature.HeaderSignature)[len("v1"):])
	call.Header.Del(signature.DefaultBodyHeader)
	return call
}

func oldCases() []trialCase {
	away := func(name string, by time.Duration, mend string) trialCase {
		return trialCase{name: name, want: wantRefused, mend: mend, calls: one(func(k *trialKit) callbackCall { return k.freshAt(by) })}
	}
	return []trialCase{
		away("stale: 10 minutes old", -10*time.Minute, "it accepts old callbacks, so that one that was overheard can be sent again: refuse a webhook-timestamp more than 5 minutes away"),
		away("from 10 minutes ahead", 10*time.Minute, "it accepts callbacks from the future, which stay good for longer: refuse a webhook-timestamp more than 5 minutes away on either side"),
	}
}

func robustCases() []trialCase {
	return []trialCase{
		{
			name: "rotation: the second signature", want: wantTaken, calls: one(rotated),
			mend: "while a secret is replaced there are several v1 signatures: take the callback if any of them matches",
		},
		{
			name: "with a v1a signature", want: wantTaken, calls: one(withPublic),
			mend: "a v1a signature (ed25519) may stand beside v1: pass over versions you do not check",
		},
		{
			name: "out of order", want: wantTaken, calls: outOfOrder,
			mend: "callbacks may come out of order: answer 2xx, and leave out what has a lower sequence than you have seen for the job",
		},
		{
			name: "large: 250 KiB", want: wantTaken, calls: one(func(k *trialKit) callbackCall { return k.sign(newGenerationEvent(largeOutput(), "")) }),
			mend: "bodies are up to 256 KiB by default: raise your limit on a request's body",
		},
		{
			name: "result omitted", want: wantTaken, calls: one(omitted),
			mend: "a result too large to send is left out, with response_omitted and result_url: answer 2xx and fetch it there",
		},
		{
			name: "unknown event type", want: wantTaken, calls: one(unknownType),
			mend: "new types come with new versions: answer 2xx to a type you do not know, and do nothing",
		},
		{
			name: "unicode and big numbers", want: wantTaken, calls: one(func(k *trialKit) callbackCall { return k.sign(newGenerationEvent(oddOutput, oddNumbers)) }),
			mend: "verify over the raw bytes, before the JSON is parsed (written anew it is not the same), and do not fail on big integers",
		},
	}
}

// rotated has the signature of a secret that the receiver does not know first.
func rotated(k *trialKit) callbackCall {
	call := k.fresh()
	header := forged(k).Header.Get(signature.HeaderSignature) + " " + call.Header.Get(signature.HeaderSignature)
	call.Header.Set(signature.HeaderSignature, header)
	return call
}

func withPublic(k *trialKit) callbackCall {
	call, random := k.fresh(), make([]byte, 64)
	_, _ = rand.Read(random) // it never fails: it ends the program instead
	header := "v1a," + base64.StdEncoding.EncodeToString(random) + " " + call.Header.Get(signature.HeaderSignature)
	call.Header.Set(signature.HeaderSignature, header)
	return call
}

func outOfOrder(k *trialKit) []callbackCall {
	batch := newTrialBatch()
	return []callbackCall{k.sign(newBatchEvent("completed", 2, batch)), k.sign(newBatchEvent("in_progress", 1, batch))}
}

func omitted(k *trialKit) callbackCall {
	return k.sign(newGenerationEvent(`""`, `"response_omitted":true,"result_url":"https://ringback.example/v1/jobs/gen_test_omitted",`))
}

func unknownType(k *trialKit) callbackCall {
	e := newBatchEvent("completed", 2, newTrialBatch())
	e.kind = "batch.test_of_an_unknown_type"
	return k.sign(e)
}

func methodCases() []trialCase {
	return []trialCase{
		{name: "a forged PUT", want: wantRefused, calls: one(func(k *trialKit) callbackCall {
			call := forged(k)
			call.Method = http.MethodPut
			return call
		}), mend: "it accepts a forgery by another method: verify whatever the method is, or answer 405"},
		{name: "a bare GET", want: wantRefused, should: true, calls: one(func(*trialKit) callbackCall {
			return callbackCall{Method: http.MethodGet, Header: http.Header{"User-Agent": {"Ringback/1.0"}}}
		}), mend: "it answers 2xx to a GET: make sure that nothing is done for it, or answer 405"},
	}
}

func burstCases() []trialCase {
	return []trialCase{{
		name: "20 of the same at once", want: wantTaken, atOnce: true,
		mend: "repeats may come at the same moment: put the webhook-id where it can stand once (a unique key), and answer 2xx to all",
		calls: func(k *trialKit) []callbackCall {
			calls := make([]callbackCall, atOnceCallbacks)
			for i := range calls {
				calls[i] = k.again()
			}
			return calls
		},
	}}
}

func one(call func(*trialKit) callbackCall) func(*trialKit) []callbackCall {
	return func(k *trialKit) []callbackCall { return []callbackCall{call(k)} }
}
