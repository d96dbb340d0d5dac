package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/callbacks/signature"
)

// flaws are the ways in which a receiver under test is wrong; without any it
// is right.
type flaws struct {
	verify func(body []byte, header http.Header) error // instead of the library's
	answer func(body []byte) int                       // of what verified; 0 is 204
	refuse int                                         // status of what did not verify; 0 is 401
	before func(w http.ResponseWriter, r *http.Request) bool
}

// receiverWith is a receiver as its customer would write it, with flaws.
func receiverWith(t *testing.T, f flaws) *httptest.Server {
	t.Helper()
	if f.verify == nil {
		f.verify = library(t).Verify
	}
	if f.refuse == 0 {
		f.refuse = http.StatusUnauthorized
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f.before != nil && f.before(w, r) {
			return
		}
		if r.Method != http.MethodPost {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil || f.verify(body, r.Header) != nil {
			w.WriteHeader(f.refuse)
			return
		}
		status := http.StatusNoContent
		if f.answer != nil {
			status = max(status, f.answer(body))
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	return server
}

// library is the Standard Webhooks verifier of the test's secret.
func library(t *testing.T) *standardwebhooks.Webhook {
	t.Helper()
	verifier, err := standardwebhooks.NewWebhook(testSigningKey)
	require.NoError(t, err)
	return verifier
}

func TestReceiversAreFoundOut(t *testing.T) {
	t.Parallel()
	verifier := library(t)
	type verdicts map[string]string
	for _, test := range []struct {
		name  string
		flaws flaws
		slow  time.Duration
		want  verdicts // of the rows that do not pass; "*" is all others
		mend  string   // of the first of them
	}{
		{name: "a correct one passes everything"},
		{
			name: "one that does not verify", flaws: flaws{verify: func([]byte, http.Header) error { return nil }},
			want: verdicts{
				"forged: another secret": "fail", "altered body": "fail", "missing signature": "fail", "altered id": "fail",
				"unknown version only": "fail", "stale: 10 minutes old": "fail", "from 10 minutes ahead": "fail",
			}, mend: "it accepts forgeries",
		},
		{
			name: "one that verifies what it parsed and wrote anew", flaws: flaws{verify: func(body []byte, header http.Header) error {
				var again bytes.Buffer
				_ = json.Compact(&again, body)
				return verifier.Verify(again.Bytes(), header)
			}}, want: verdicts{"unicode and big numbers": "fail"}, mend: "verify over the raw bytes",
		},
		{
			name: "one that does not look at the time", flaws: flaws{verify: verifier.VerifyIgnoringTimestamp},
			want: verdicts{"stale: 10 minutes old": "fail", "from 10 minutes ahead": "fail"}, mend: "it accepts old callbacks",
		},
		{
			name: "one that looks at the first signature alone", flaws: flaws{verify: func(body []byte, header http.Header) error {
				first, _, _ := strings.Cut(header.Get("webhook-signature"), " ")
				header.Set("webhook-signature", first)
				return verifier.Verify(body, header)
			}},
			want: verdicts{"rotation: the second signature": "fail", "with a v1a signature": "fail"}, mend: "if any of them matches",
		},
		{
			name: "one that lets an unsigned request through", flaws: flaws{verify: func(body []byte, header http.Header) error {
				if header.Get("webhook-signature") == "" {
					return nil
				}
				return verifier.Verify(body, header)
			}}, want: verdicts{"missing signature": "fail"}, mend: "must be refused",
		},
		{
			name: "one that takes unknown versions on trust", flaws: flaws{verify: func(body []byte, header http.Header) error {
				if strings.HasPrefix(header.Get("webhook-signature"), "v2,") {
					return nil
				}
				return verifier.Verify(body, header)
			}}, want: verdicts{"unknown version only": "fail"}, mend: "versions you do not know",
		},
		{
			name: "one that verifies the signature of the body alone", flaws: flaws{verify: func(body []byte, header http.Header) error {
				if header.Get("X-Ringback-Signature") != signature.BodySignature(testSigningKey, body) {
					return signature.ErrSecret
				}
				return nil
			}},
			want: verdicts{"altered id": "fail", "stale: 10 minutes old": "fail", "from 10 minutes ahead": "fail"},
			mend: "sign id.timestamp.body",
		},
		{
			name: "one that fails on unknown types", flaws: flaws{answer: func(body []byte) int {
				switch gjson.GetBytes(body, "type").String() {
				case "batch.in_progress", "batch.completed", "generation.completed":
					return 0
				}
				return 500
			}}, want: verdicts{"unknown event type": "fail"}, mend: "a type you do not know",
		},
		{
			name: "one that needs the order", flaws: flaws{answer: func(body []byte) int {
				if gjson.GetBytes(body, "sequence").Int() == 1 {
					return 409
				}
				return 0
			}}, want: verdicts{"out of order": "fail"}, mend: "lower sequence",
		},
		{
			name: "one that needs the result", flaws: flaws{answer: func(body []byte) int {
				if gjson.GetBytes(body, "response_omitted").Bool() {
					return 422
				}
				return 0
			}}, want: verdicts{"result omitted": "fail"}, mend: "result_url",
		},
		{
			name: "one with a small limit", flaws: flaws{before: func(w http.ResponseWriter, r *http.Request) bool {
				if r.ContentLength > 100<<10 {
					w.WriteHeader(http.StatusRequestEntityTooLarge)
					return true
				}
				return false
			}}, want: verdicts{"large: 250 KiB": "fail"}, mend: "raise your limit",
		},
		{
			name: "one that refuses by falling over", flaws: flaws{refuse: 500},
			want: verdicts{
				"forged: another secret": "warn", "altered body": "warn", "missing signature": "warn", "altered id": "warn",
				"unknown version only": "warn", "stale: 10 minutes old": "warn", "from 10 minutes ahead": "warn",
			}, mend: "answer 4xx",
		},
		{
			name: "one that sends strangers to a login page", flaws: flaws{refuse: 302},
			want: verdicts{
				"forged: another secret": "fail", "altered body": "fail", "missing signature": "fail", "altered id": "fail",
				"unknown version only": "fail", "stale: 10 minutes old": "fail", "from 10 minutes ahead": "fail",
			}, mend: "a redirect is never followed",
		},
		{
			name: "one that verifies a POST alone", flaws: flaws{before: func(_ http.ResponseWriter, r *http.Request) bool { return r.Method != http.MethodPost }},
			want: verdicts{"a forged PUT": "fail", "a bare GET": "warn"}, mend: "by another method",
		},
		{name: "one that knows no other method", flaws: flaws{before: func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPost {
				w.WriteHeader(http.StatusNotImplemented)
			}
			return r.Method != http.MethodPost
		}}},
		{
			name: "one behind a redirect", flaws: flaws{before: func(w http.ResponseWriter, _ *http.Request) bool {
				w.Header().Set("Location", "/new")
				w.WriteHeader(http.StatusPermanentRedirect)
				return true
			}}, want: verdicts{"good callback": "fail", "*": "skip"}, mend: "name /new itself",
		},
		{
			name: "one with another secret", flaws: flaws{verify: func([]byte, http.Header) error { return signature.ErrSecret }},
			want: verdicts{"good callback": "fail", "*": "skip"}, mend: "does it have this secret?",
		},
		{
			name: "one that closes the connection", flaws: flaws{before: func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }},
			want: verdicts{"good callback": "fail", "*": "skip"}, mend: "closed the connection without an answer",
		},
		{
			name: "one that never answers", flaws: flaws{before: func(_ http.ResponseWriter, r *http.Request) bool {
				_, _ = io.Copy(io.Discard, r.Body)
				<-r.Context().Done()
				return true
			}}, want: verdicts{"good callback": "fail", "*": "skip"}, mend: "no answer within 1s",
		},
		{name: "one that is slow", slow: time.Nanosecond, want: verdicts{"*": "warn"}, mend: "answer 2xx first"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			trial := newTrial(receiverWith(t, test.flaws).URL, testSigningKey)
			if test.want["*"] == "skip" {
				trial.slowest = time.Second // only one of them waits for it
			}
			if test.slow > 0 {
				trial.slow = test.slow
			}
			report := trial.run(t.Context())
			require.Len(t, report.Cases, len(trialCases()))
			want, mend, passed := verdicts{}, "", true
			got := verdicts{}
			for _, row := range report.Cases {
				expected := firstSet(test.want[row.Case], test.want["*"], "pass")
				want[row.Case], got[row.Case] = expected, row.Verdict
				passed = passed && (expected == "pass" || expected == "warn")
				mend = firstSet(mend, row.Mend)
			}
			require.Equal(t, want, got)
			require.Contains(t, mend, test.mend)
			require.Equal(t, test.mend == "", mend == "")
			require.Equal(t, passed, report.Passed)
		})
	}
}

// A receiver that holds each callback until all 20 are there passes only if
// they come at the same time.
func TestBurstComesAtOnce(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	open, all := map[string]int{}, make(chan struct{})
	count := func(id string) bool {
		mu.Lock()
		defer mu.Unlock()
		open[id]++
		if open[id] == atOnceCallbacks+2 {
			close(all)
		}
		return open[id] > 2
	}
	receiver := receiverWith(t, flaws{before: func(w http.ResponseWriter, r *http.Request) bool {
		if count(r.Header.Get("webhook-id")) && r.Method == http.MethodPost {
			<-all
			w.WriteHeader(http.StatusConflict)
			return true
		}
		return false
	}})
	report := newTrial(receiver.URL, testSigningKey).run(t.Context())
	last := report.Cases[len(report.Cases)-1]
	require.Equal(t, "fail", last.Verdict)
	require.Contains(t, last.Mend, "a unique key")
	require.Equal(t, slices.Repeat([]int{409}, atOnceCallbacks), last.Answers)
	require.False(t, report.Passed)
}

func TestTrialBodies(t *testing.T) {
	t.Parallel()
	kit := newTrialKit(testSigningKey)
	sent := 0
	for _, c := range trialCases() {
		for _, call := range c.calls(kit) {
			sent++
			if call.Method == http.MethodGet {
				continue
			}
			require.True(t, json.Valid(call.Body), c.name)
			require.Regexp(t, `^(batch|gen)_test_`, gjson.GetBytes(call.Body, "data.id").String(), c.name)
			require.Equal(t, "event", gjson.GetBytes(call.Body, "object").String())
			if c.want == wantTaken {
				require.NoError(t, library(t).Verify(call.Body, call.Header), c.name)
				require.Equal(t, gjson.GetBytes(call.Body, "id").String(), call.Header.Get("webhook-id"))
			} else {
				require.Error(t, library(t).Verify(call.Body, call.Header), c.name)
			}
		}
	}
	require.LessOrEqual(t, sent, 60)
	large := kit.sign(newGenerationEvent(largeOutput(), ""))
	require.InDelta(t, 250<<10, len(large.Body), 2<<10)
}

func TestTestReceiverCommand(t *testing.T) {
	t.Parallel()
	good := receiverWith(t, flaws{})
	code, out, errs := runCommand(t, "", "test-receiver", good.URL, "--secret", testSigningKey)
	require.Equal(t, exitOK, code, out+errs)
	require.Regexp(t, `(?m)^  pass  forged: another secret +want 4xx  got 401 +\d+ ms$`, out)
	require.Contains(t, out, "\n19 passed, 0 to look at, 0 failed\n")
	require.Contains(t, out, "was sent 22 times")
	require.NotContains(t, out+errs, testSigningKey)

	careless := receiverWith(t, flaws{verify: func([]byte, http.Header) error { return nil }})
	code, out, errs = runCommand(t, testSigningKey+"\n", "test-receiver", careless.URL, "--secret-file", "-", "--json")
	require.Equal(t, exitFailure, code)
	require.Empty(t, errs)
	require.Equal(t, "fail", gjson.Get(out, `cases.#(case=="altered id").verdict`).String())
	require.False(t, gjson.Get(out, "passed").Bool())
	require.Equal(t, int64(39), gjson.Get(out, "requests").Int())

	server := newFakeServer(t)
	code, out, _ = runCommand(t, "", "test-receiver", good.URL, "--server", server.URL)
	require.Equal(t, exitOK, code, out)

	good.Close()
	code, out, _ = runCommand(t, "", "test-receiver", good.URL, "--secret", testSigningKey)
	require.Equal(t, exitFailure, code)
	require.Contains(t, out, "nothing listens there")
	require.Contains(t, out, "0 passed, 0 to look at, 1 failed, 18 not tried: a good callback must be taken first")
}

func TestDeveloperCommandsUsage(t *testing.T) {
	t.Parallel()
	for _, args := range []string{
		"listen extra", "listen --forward-to nonsense", "listen --forward-to ftp://x/y", "listen --print all", "listen --retry 1", "listen --header X:1",
		"listen --forward-to http://x --header nonsense", "listen --forward-to http://x --retry -1", "listen --forward-to http://x --timeout 0s",
		"listen --forward-to http://x --secret whsec_short", "listen --server nonsense",
		"test-receiver", "test-receiver nonsense", "test-receiver http://x --secret a --secret b", "test-receiver http://x --secret a --secret-file b",
		"verify", "verify a b", "verify a --body b", "verify --body b", "verify --header X:1", "verify - --secret-file -", "verify a --at noon",
		"verify a --tolerance -1s",
	} {
		code, out, errs := runCommand(t, "", strings.Fields(args)...)
		require.Equal(t, exitUsage, code, "%s: %s", args, errs)
		require.Empty(t, out, args)
	}
}
