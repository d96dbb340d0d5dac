package e2e

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// axe finds what keeps people out (axe-core 4.14.1, MPL 2.0).
//
//go:embed testdata/axe-4.14.1.min.js
var axe string

// open goes to a page and waits until it is live.
func (b *browser) open(url string) {
	b.t.Helper()
	b.do(chromedp.Navigate(url))
	b.until("the page is live", `document.querySelector("#connection")?.textContent === "Live"`)
}

// holds tells whether a condition holds in the page now; between two pages nothing does.
func (b *browser) holds(condition string) bool {
	ctx, cancel := context.WithTimeout(b.ctx, 20*time.Second)
	defer cancel()
	holds, err := chromedp.Run(ctx, chromedp.Evaluate[bool](condition))
	return err == nil && holds
}

// until waits for a condition in the page.
func (b *browser) until(what, condition string) {
	b.t.Helper()
	eventually(b.t, what, func() bool { return b.holds(condition) })
}

// says is the condition that a person can read a text.
func says(text string) string {
	return `(document.body?.innerText ?? "").replace(/\s+/g, " ").includes(` + quoted(text) + `)`
}

// shows waits until the page has a text.
func (b *browser) shows(text string) {
	b.t.Helper()
	for deadline := time.Now().Add(patience); !b.holds(says(text)); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.shoot("missing-text")
			require.Contains(b.t, seek(b, chromedp.Evaluate[string](`document.body.innerText`)), text)
		}
	}
}

func quoted(text string) string {
	b, _ := json.Marshal(text) // a text always encodes
	return string(b)
}

// click presses what can be seen with a text on it, as a person does.
func (b *browser) click(selector, text string) {
	b.t.Helper()
	find := fmt.Sprintf(`(() => { const found = [...document.querySelectorAll(%s)].filter((e) => e.innerText.trim().startsWith(%s) && e.checkVisibility()); if (!found.length) return null;
		found[0].scrollIntoView({block: "center"}); const r = found[0].getBoundingClientRect(); return [r.left + r.width / 2, r.top + r.height / 2]; })()`, quoted(selector), quoted(text))
	var at []float64
	eventually(b.t, "there is a "+selector+" that says "+text, func() bool {
		ctx, cancel := context.WithTimeout(b.ctx, 20*time.Second)
		defer cancel()
		var err error
		at, err = chromedp.Run(ctx, chromedp.Evaluate[[]float64](find))
		return err == nil && len(at) == 2
	})
	b.do(chromedp.MouseClickXY(at[0], at[1]))
}

// types puts a text into a field, over what stands there.
func (b *browser) types(selector, text string) {
	b.t.Helper()
	b.do(chromedp.Focus(chromedp.CSS(selector)), chromedp.Evaluate[chromedp.Void](`document.querySelector(`+quoted(selector)+`).select()`), chromedp.SendKeys(chromedp.CSS(selector), text))
}

// judge lets axe look at the page, and holds it to nothing serious.
func (b *browser) judge(name string) {
	b.t.Helper()
	if !b.holds(`typeof axe === "object"`) {
		b.do(chromedp.Evaluate[chromedp.Void](axe))
	}
	found := seek(b, chromedp.Evaluate[string](`axe.run(document, {resultTypes: ["violations"]}).then((r) => JSON.stringify(r.violations.filter((v) => v.impact === "serious" || v.impact === "critical").map((v) => v.id + ": " + v.nodes.map((n) => n.html.slice(0, 200) + " " + n.failureSummary).join(" | "))))`, chromedp.EvalAwaitPromise))
	require.Equal(b.t, "[]", found, name)
}

// fits tells whether the page is no wider than the window.
func (b *browser) fits(name string) {
	b.t.Helper()
	wide := seek(b, chromedp.Evaluate[string](`document.documentElement.scrollWidth <= innerWidth ? "" : [...document.querySelectorAll("main *")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest(".panel:has(> .table), pre, .tabs, .nav, svg")).slice(0, 3).map((e) => e.outerHTML.slice(0, 120)).join("\n") + " "`))
	require.Empty(b.t, wide, name+" scrolls sideways")
}

// requests writes a batch's input of so many lines.
func requests(t *testing.T, n int) string {
	t.Helper()
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"custom_id":"line-%04d","method":"POST","url":"/v1/chat/completions","body":{"model":"sim-small","messages":[{"role":"user","content":"How many are %d and %d?"}]}}`+"\n", i, i, i+1)
	}
	return keptAs(t, "questions.jsonl", b.String())
}

func keptAs(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// exhibition is a server on which something of everything has happened.
type exhibition struct {
	*server
	batch, failed, tuning, call string
	good, bad                   endpoint
	delivery, file, event       string
}

func startExhibition(t *testing.T) *exhibition {
	t.Helper()
	s := startServer(t, append(openCallbacks(), "simulator.tuning=2s", "simulator.fail=0.05", "callbacks.schedule=[0s,1h]")...)
	x := &exhibition{server: s}
	x.good = s.register(startReceiver(t), `"batch.*","fine_tuning.job.succeeded","generation.completed"`, `,"name":"Evals pipeline"`)
	refusing := startReceiver(t)
	refusing.handle = func(callback) int { return http.StatusServiceUnavailable }
	x.bad = s.register(refusing, `"batch.completed","batch.created"`, `,"name":"Grading service","headers":{"X-Team":"evals"}`)
	x.file = s.upload(http.StatusOK, part{"purpose", "", "batch"}, part{"file", "questions.jsonl", mustRead(t, requests(t, 300))}).get("id").String()
	x.batch = s.call(http.StatusOK, "POST", "/v1/batches", fmt.Sprintf(`{"input_file_id":"%s","endpoint":"/v1/chat/completions","completion_window":"24h","metadata":{"name":"Nightly evals","suite":"gsm8k"}%s}`, x.file, x.good.field())).get("id").String()
	wrong := s.input(`{"custom_id":"a","method":"POST","url":"/v1/embeddings","body":{}}` + "\n")
	x.failed = s.call(http.StatusOK, "POST", "/v1/batches", fmt.Sprintf(`{"input_file_id":"%s","endpoint":"/v1/chat/completions","completion_window":"24h"}`, wrong)).get("id").String()
	training := s.upload(http.StatusOK, part{"purpose", "", "fine-tune"}, part{"file", "examples.jsonl", examples(20)}).get("id").String()
	x.tuning = s.call(http.StatusOK, "POST", "/v1/fine_tuning/jobs", fmt.Sprintf(`{"model":"sim-small","training_file":"%s","suffix":"tutor"}`, training)).get("id").String()
	x.call = s.call(http.StatusAccepted, "POST", "/v1/generate", `{"model":"sim-small","input":"Why is the sky blue?","metadata":{"name":"Sky"}}`).get("id").String()
	s.call(http.StatusAccepted, "POST", "/v1/generate", fmt.Sprintf(`{"model":"sim-small","input":"Later.","run_at":%d}`, time.Now().Add(100*time.Hour).Unix()))
	for _, id := range []string{x.batch, x.failed, x.tuning, x.call} {
		eventually(t, id+" has ended", func() bool {
			switch s.read("/v1/jobs/" + id).get("status").String() {
			case "completed", "failed", "succeeded":
				return true
			}
			return false
		})
	}
	eventually(t, "the bad endpoint has failed", func() bool {
		waiting := s.deliveries("endpoint_id=" + x.bad.id)
		if len(waiting) > 0 {
			x.delivery = waiting[0].Get("id").String()
		}
		return len(waiting) > 1 && waiting[0].Get("attempts.#").Int() > 0
	})
	x.event = s.deliveries("endpoint_id=" + x.good.id)[0].Get("event_id").String()
	return x
}

func mustRead(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

// pages are all of them, with their dialogs and some of their states.
func (x *exhibition) pages() [][2]string {
	return [][2]string{
		{"overview", "/"},
		{"jobs", "/jobs"},
		{"jobs-none", "/jobs?q=nothing+of+the+kind"},
		{"job-batch", "/jobs/" + x.batch},
		{"job-failed", "/jobs/" + x.failed},
		{"job-tuning", "/jobs/" + x.tuning},
		{"job-call", "/jobs/" + x.call},
		{"new-batch", "/new"},
		{"new-tuning", "/new?kind=fine_tuning"},
		{"new-generation", "/new?from=" + x.call},
		{"webhooks", "/webhooks"},
		{"webhook-add", "/webhooks?dialog=add"},
		{"webhook", "/webhooks/" + x.bad.id},
		{"webhook-edit", "/webhooks/" + x.bad.id + "?dialog=edit"},
		{"webhook-delete", "/webhooks/" + x.bad.id + "?dialog=delete"},
		{"deliveries", "/deliveries"},
		{"deliveries-retry", "/deliveries?dialog=retry"},
		{"delivery", "/deliveries/" + x.delivery},
		{"files", "/files"},
		{"file", "/files/" + x.file},
		{"file-delete", "/files/" + x.file + "?dialog=delete"},
		{"events", "/events"},
		{"event", "/events/" + x.event},
		{"providers", "/providers"},
		{"settings", "/settings"},
		{"missing", "/jobs/batch_none"},
	}
}

// TestPagesInABrowser goes through each page and dialog in each look: nothing scrolls sideways, axe finds nothing serious, and
// the console has no complaint. Pictures of all stand in the folder screenshots afterwards.
func TestPagesInABrowser(t *testing.T) {
	t.Parallel()
	x := startExhibition(t)
	b := startBrowser(t)
	for _, p := range x.pages() {
		for i, l := range looks {
			name := p[0] + "-" + l.name
			b.seen(l)
			switch {
			case i > 0 && looks[i-1].width == l.width: // the same page in another light
			case p[0] == "missing":
				b.do(chromedp.Navigate(x.url + p[1]))
			default:
				b.open(x.url + p[1])
			}
			b.fits(name)
			b.judge(name)
			b.shoot(name)
			heard := b.heard()
			if p[0] == "missing" {
				continue // a page that is not there is a 404, which the console says
			}
			require.Empty(t, heard, name)
		}
	}
}

// TestPagesByKeyboard reaches everything that can be used with the tab key alone.
func TestPagesByKeyboard(t *testing.T) {
	t.Parallel()
	x := startExhibition(t)
	b := startBrowser(t)
	b.seen(looks[0])
	for _, p := range x.pages() {
		b.do(chromedp.Navigate(x.url + p[1]))
		wanted := seek(b, chromedp.Evaluate[int](`(() => {
			const root = document.querySelector("dialog[open]") || document;
			const all = [...root.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']")].filter((e) => !e.disabled && e.tabIndex >= 0 && e.checkVisibility());
			window.reached = new Set(); window.wanted = all.filter((e) => e.type !== "radio" || e.checked);
			document.addEventListener("focusin", (e) => reached.add(e.target));
			window.unseen = [];
			return wanted.length; })()`))
		for range wanted + 8 {
			b.do(chromedp.KeyEvent("\t"))
		}
		missed := seek(b, chromedp.Evaluate[string](`wanted.filter((e) => e.isConnected && !reached.has(e) && e !== document.activeElement).map((e) => e.outerHTML.slice(0, 120)).join("\n")`))
		require.Empty(t, missed, "%s: the tab key does not reach", p[0])
		require.Positive(t, wanted, p[0])
	}
}

// TestFirstJobInTheBrowser is somebody who never read anything: submits a call, watches it, sees why its callback failed,
// mends the receiver, retries, and sees it arrive.
func TestFirstJobInTheBrowser(t *testing.T) {
	t.Parallel()
	for _, scripts := range []bool{true, false} {
		t.Run(map[bool]string{true: "with scripts", false: "without scripts"}[scripts], func(t *testing.T) {
			t.Parallel()
			s := startServer(t, append(openCallbacks(), "callbacks.schedule=[0s,1h]")...)
			hook := startReceiver(t, http.StatusServiceUnavailable)
			b := startBrowser(t)
			b.seen(looks[0])
			if !scripts {
				_, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
				require.NoError(t, err)
			}
			again := func() { // without a script a page shows what is new when it is loaded again
				if !scripts {
					b.do(chromedp.Reload())
				}
			}
			b.do(chromedp.Navigate(s.url))
			b.click("a", "New job")
			b.shows("Call me back")
			b.click("label", "Generation")
			b.types("#n-model", "sim-small")
			b.types("#n-prompt", "Why is the sky blue?")
			b.types("#n-name", "My first job")
			b.types("#n-url", hook.server.URL+"/hook")
			b.click("button", "Start job")
			b.shows("My first job")
			eventually(t, "the first attempt is seen", func() bool {
				again()
				return b.holds(says("503 in"))
			})
			b.click(".events a", "503")
			b.shows("503 Service Unavailable")
			b.shows("It is tried again.")
			b.shows("Mend the receiver, then retry")
			b.click("button", "Retry now")
			b.shows("Sent again.")
			eventually(t, "the callback has arrived", func() bool {
				again()
				return b.holds(says("Delivered, 200"))
			})
			require.Len(t, hook.all(), 2)
			require.Empty(t, b.heard())
		})
	}
}

// TestBatchInTheComposer drops a file with faults, which are shown by their lines, then one without, and starts it.
func TestBatchInTheComposer(t *testing.T) {
	t.Parallel()
	s := startServer(t, openCallbacks()...)
	hook := startReceiver(t)
	b := startBrowser(t)
	b.seen(looks[0])
	b.open(s.url + "/new")
	good := requests(t, 40)
	lines := strings.Split(mustRead(t, good), "\n")
	lines[6] = lines[5]
	lines[9] = lines[9][:len(lines[9])-1] + ", }"
	bad := keptAs(t, "faulty.jsonl", strings.Join(lines, "\n"))
	b.do(chromedp.SetUploadFiles(chromedp.CSS(`[data-upload] input`), []string{bad}))
	b.shows("2 problems")
	b.shows("The custom_id 'line-0005' for this request is a duplicate")
	require.Equal(t, "7 10", seek(b, chromedp.Evaluate[string](`[...document.querySelectorAll(".problems td:first-child")].map((e) => e.innerText).join(" ")`)))
	b.shoot("composer-problems")
	b.do(chromedp.SetUploadFiles(chromedp.CSS(`[data-upload] input`), []string{good}))
	b.shows("40 lines checked, all valid")
	b.types("#n-name", "Forty questions")
	b.types("#n-url", hook.server.URL+"/hook")
	b.until("the code follows the form", `document.querySelector("#codes").textContent.includes("Forty questions") && document.querySelector("#codes").textContent.includes("questions.jsonl")`)
	b.click("button", "Start job")
	b.shows("Forty questions")
	b.shows("Completed")
	b.shows("100 %")
	b.shows("Output") // of the usage
	b.do(chromedp.Reload())
	b.click("summary", "line-0000")
	b.shows(`"custom_id": "line-0000"`)
	b.click("a", "Show more")
	b.until("more lines are there", `document.querySelectorAll("details.line").length > 20`)
	hook.wait(s.read("/v1/batches").get("data.0.id").String(), "batch.completed")
	require.Empty(t, b.heard())
}

// TestWebhookInTheBrowser adds an endpoint, fires a test, rotates its secret, switches it off and on, and deletes it.
func TestWebhookInTheBrowser(t *testing.T) {
	t.Parallel()
	s := startServer(t, openCallbacks()...)
	hook := startReceiver(t)
	b := startBrowser(t)
	b.seen(looks[0])
	b.open(s.url + "/webhooks")
	b.shows("No webhook yet")
	b.click("a", "Add webhook")
	b.types("#w-url", "ftp://example.com")
	b.types("#w-name", "Report loader")
	b.click("dialog button", "Add webhook")
	b.until("the refusal stands beside its field", `document.querySelector("#w-url-error") !== null && document.querySelector("#w-name").value === "Report loader"`)
	b.heard() // the console says that a form was refused
	b.types("#w-url", hook.server.URL+"/hook")
	b.click("dialog button", "Add webhook")
	b.shows("shown only once")
	secret := seek(b, chromedp.Evaluate[string](`document.querySelector(".notice [data-copy]").dataset.copy`))
	require.Regexp(t, `^whsec_`, secret)
	b.click("button", "Send test")
	b.shows("200 OK")
	b.shows("A real delivery would be done.")
	require.NoError(t, hook.all()[0].verify(secret))
	b.shoot("webhook-tested")
	b.click("button", "Rotate secret")
	b.shows("The old one goes on signing")
	rotated := seek(b, chromedp.Evaluate[string](`document.querySelector(".notice [data-copy]").dataset.copy`))
	require.NotEqual(t, secret, rotated)
	b.click("button", "Disable")
	b.shows("Switched off. It gets no more events.")
	b.click("button", "Enable")
	b.shows("Switched on.")
	b.do(chromedp.Reload())
	require.False(t, seek(b, chromedp.Evaluate[bool](`document.body.innerHTML.includes("`+rotated+`")`)), "a secret is shown once")
	b.click("a", "Edit")
	b.types("#w-name", "Loader")
	b.click("dialog button", "Save")
	b.shows("Saved.")
	b.click("a", "Delete")
	b.until("deleting waits for the name", `document.querySelector("[data-confirmed]").disabled`)
	b.types("#d-name", "Loader")
	b.click("dialog button", "Delete")
	b.shows("No webhook yet")
	require.Empty(t, b.heard())
}

// TestLivePageOutlivesTheServer says that it is not live while the server is away, and goes on when it is back.
func TestLivePageOutlivesTheServer(t *testing.T) {
	t.Parallel()
	s := startServer(t, "server.listen="+freeAddress(t))
	b := startBrowser(t)
	b.seen(looks[0])
	b.open(s.url + "/jobs")
	s.kill9()
	b.until("the page says so", `document.querySelector("#connection").textContent.startsWith("Reconnecting")`)
	s.start()
	b.until("it is live again", `document.querySelector("#connection").textContent === "Live"`)
	s.call(http.StatusAccepted, "POST", "/v1/generate", `{"model":"sim-small","input":"Hello.","metadata":{"name":"After the restart"}}`)
	b.shows("After the restart")
}

// TestFailedLinesInTheBrowser shows failed lines by their cause, and retries them into a batch of their own.
func TestFailedLinesInTheBrowser(t *testing.T) {
	t.Parallel()
	var mended atomic.Bool
	up := startUpstream(t, func(body string) reply {
		if strings.Contains(prompt(body), "7 and") && !mended.Load() {
			return reply{status: http.StatusBadRequest, body: `{"error":{"message":"max_tokens must be at least 1","type":"invalid_request_error","code":"invalid_value"}}`}
		}
		return reply{body: completion("#### 42")}
	})
	s := startServer(t, up.provider(""))
	file := s.input(mustRead(t, requests(t, 40)))
	batch := s.call(http.StatusOK, "POST", "/v1/batches", fmt.Sprintf(`{"input_file_id":"%s","endpoint":"/v1/chat/completions","completion_window":"24h","metadata":{"name":"Forty"}}`, file)).get("id").String()
	b := startBrowser(t)
	b.seen(looks[0])
	b.open(s.url + "/jobs/" + batch)
	b.shows("Failed lines by cause")
	b.shows("400 invalid_value")
	b.shows("max_tokens must be at least 1")
	b.shows("line-0007 and 3 more")
	b.shows("Correct these lines, then send them as a new job")
	b.shoot("failed-lines")
	b.types("[name=custom_id]", "line-0017")
	b.do(chromedp.KeyEvent("\r"))
	b.shows("lines with this custom_id")
	b.until("one line is left", `document.querySelectorAll("details.line").length === 1`)
	mended.Store(true)
	b.click("button", "Retry 4 failed")
	b.shows("Retry of")
	b.shows("40 of 40 lines")
	require.Empty(t, b.heard())
}

// TestSecretWebhookIsAskedForAgain: a retry calls back with what its dialog was given, since nobody knows the first one's secrets.
func TestSecretWebhookIsAskedForAgain(t *testing.T) {
	t.Parallel()
	up := startUpstream(t, func(body string) reply {
		return reply{status: http.StatusBadRequest, body: `{"error":{"message":"no","type":"invalid_request_error"}}`}
	})
	s := startServer(t, append(openCallbacks(), up.provider(""))...)
	hook := startReceiver(t)
	batch := s.call(http.StatusOK, "POST", "/v1/batches", fmt.Sprintf(`{"input_file_id":"%s","endpoint":"/v1/chat/completions","completion_window":"24h","webhook":{"url":"%s/hook?token=abc","headers":{"X-Team":"evals"}}}`, s.input(mustRead(t, requests(t, 3))), hook.server.URL)).get("id").String()
	hook.wait(batch, "batch.completed")
	b := startBrowser(t)
	b.seen(looks[0])
	b.open(s.url + "/jobs/" + batch)
	b.click("a", "Retry 3 failed")
	b.shows("give them again to be called back")
	b.judge("retry dialog")
	b.shoot("job-retry")
	require.Equal(t, "X-Team", seek(b, chromedp.Evaluate[string](`document.querySelector("dialog [name=header_name]").value`)))
	b.types("#r-url", hook.server.URL+"/hook?token=def")
	b.types("dialog [name=header_value]", "evals-2")
	b.click("dialog button", "Retry")
	b.shows("Retry of")
	eventually(t, "the retry has called back", func() bool {
		all := hook.all()
		last := all[len(all)-1]
		return last.query == "token=def" && last.header.Get("X-Team") == "evals-2"
	})
	require.Empty(t, b.heard())
}
