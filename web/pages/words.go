package pages

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

// moment is an entry of a timeline.
type moment struct {
	Tone, Icon   string
	Title, Notes string
	At           jobs.Time
	About        bool // the time is a guess
	Todo         bool
}

// eventMoments say what events mean for the job that they are about.
var eventMoments = map[jobs.EventType]moment{
	jobs.BatchCreated:         {Tone: "ok", Icon: "s-ok", Title: "Accepted", Notes: "stored before the answer was sent"},
	jobs.BatchInProgress:      {Tone: "run", Icon: "s-run", Title: "Checked and started"},
	jobs.BatchProgress:        {Tone: "run", Icon: "s-run", Title: "Another tenth done"},
	jobs.BatchCompleted:       {Tone: "ok", Icon: "s-ok", Title: "Completed"},
	jobs.BatchFailed:          {Tone: "bad", Icon: "s-bad", Title: "Failed"},
	jobs.BatchExpired:         {Tone: "wait", Icon: "clock", Title: "Expired", Notes: "its window was over; what was done stays"},
	jobs.BatchCancelled:       {Tone: "off", Icon: "s-off", Title: "Cancelled", Notes: "what was done stays"},
	jobs.GenerationInProgress: {Tone: "run", Icon: "s-run", Title: "Call began"},
	jobs.GenerationProgress:   {Tone: "run", Icon: "s-run", Title: "Answer is coming"},
	jobs.GenerationCompleted:  {Tone: "ok", Icon: "s-ok", Title: "Completed"},
	jobs.GenerationFailed:     {Tone: "bad", Icon: "s-bad", Title: "Failed"},
	jobs.GenerationCancelled:  {Tone: "off", Icon: "s-off", Title: "Cancelled"},
	jobs.ResponseCompleted:    {Tone: "ok", Icon: "s-ok", Title: "Completed"},
	jobs.ResponseFailed:       {Tone: "bad", Icon: "s-bad", Title: "Failed"},
	jobs.ResponseCancelled:    {Tone: "off", Icon: "s-off", Title: "Cancelled"},
	jobs.ResponseIncomplete:   {Tone: "wait", Icon: "s-warn", Title: "Cut short"},
	jobs.TuningCreated:        {Tone: "ok", Icon: "s-ok", Title: "Accepted", Notes: "stored before the answer was sent"},
	jobs.TuningRunning:        {Tone: "run", Icon: "s-run", Title: "Training began"},
	jobs.TuningProgress:       {Tone: "run", Icon: "s-run", Title: "Training goes on"},
	jobs.TuningSucceeded:      {Tone: "ok", Icon: "s-ok", Title: "Succeeded", Notes: "the new model can be called"},
	jobs.TuningFailed:         {Tone: "bad", Icon: "s-bad", Title: "Failed"},
	jobs.TuningCancelled:      {Tone: "off", Icon: "s-off", Title: "Cancelled"},
}

// deliveryBadge says where a delivery stands.
func deliveryBadge(d *callbacks.Delivery, last *callbacks.Attempt) badge {
	answer := answerWord(last)
	switch d.State {
	case callbacks.Delivered:
		return badge{"ok", "s-ok", join("Delivered", answer)}
	case callbacks.Sending:
		return badge{"run", "s-run", "Being sent"}
	case callbacks.Cancelled:
		return badge{"off", "s-off", join("Cancelled", cancelWords[d.Reason])}
	case callbacks.Failed:
		return badge{"bad", "s-bad", join("Gave up", answer)}
	}
	switch {
	case d.HeldSince > 0:
		return badge{"wait", "retry", "Held back" + map[bool]string{true: ", " + answer}[answer != ""]}
	case last == nil:
		return badge{"off", "s-wait", "Waiting"}
	}
	return badge{"wait", "retry", orElse(answer, "Waiting") + ", again"}
}

func join(a, b string) string {
	if b == "" {
		return a
	}
	return a + ", " + b
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

// answerWord is what came of an attempt in a word or two.
func answerWord(a *callbacks.Attempt) string {
	switch {
	case a == nil:
		return ""
	case a.ErrorClass != "":
		return classWords[a.ErrorClass].short
	}
	return fmt.Sprint(a.StatusCode)
}

// answerTitle is the same in a line.
func answerTitle(a *callbacks.Attempt) string {
	if a.ErrorClass != "" && a.StatusCode == 0 {
		return sentenceOf(classWords[a.ErrorClass].short)
	}
	text := strings.TrimSpace(fmt.Sprintf("%d %s", a.StatusCode, http.StatusText(a.StatusCode)))
	if a.ErrorClass != "" {
		text += ", " + classWords[a.ErrorClass].short
	}
	return text
}

func sentenceOf(text string) string {
	if text == "" {
		return "No answer"
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// classWords say in plain words what went wrong with an attempt, and what to do.
var classWords = map[callbacks.Class]struct{ short, why, todo string }{
	callbacks.ClassDNS:         {"no such host", "The name of the receiver’s host could not be resolved.", "Correct the URL, or the name’s DNS entry, then retry."},
	callbacks.ClassConnect:     {"no connection", "Nobody listens at the receiver’s address, or a firewall stands before it.", "Start the receiver, or open its port, then retry."},
	callbacks.ClassTLS:         {"TLS failed", "The receiver’s certificate is not valid, or it speaks no TLS that is safe.", "Renew the certificate; for one of your own, set callbacks.ca_file."},
	callbacks.ClassTimeout:     {"timeout", "No complete answer came in time.", "Answer 2xx first and work after that; or give the endpoint a longer timeout, 30 s at most."},
	callbacks.ClassReset:       {"connection lost", "The connection ended before an answer came.", "Look at the receiver’s log and at what stands before it."},
	callbacks.ClassInvalid:     {"no HTTP answer", "What came back is no HTTP answer.", "See that the URL points at your web server and not at another port."},
	callbacks.ClassRedirect:    {"redirect", "The receiver answered with a redirect, which is never followed.", "Put the final URL in its place."},
	callbacks.ClassBlocked:     {"private address", "The host resolves to an address that callbacks may not reach: it is not public.", "Use a public address, or have the operator open the network with callbacks.allow_cidrs."},
	callbacks.ClassSelf:        {"points at Ringback", "The URL points at Ringback itself.", "Put your receiver’s URL in its place."},
	callbacks.ClassClosed:      {"not allowed", "The URL’s scheme or port is not allowed.", "Use https and port 443, or have the operator open callbacks.allow_http or callbacks.allow_ports."},
	callbacks.ClassSecret:      {"no valid secret", "There is no secret to sign with.", "Rotate the endpoint’s secret."},
	callbacks.ClassUnreadable:  {"unreadable", "What is to be sent cannot be read: the key that sealed it is another, or the event is gone.", "The operator’s log names it; see secrets.key."},
	callbacks.ClassClaims:      {"never ended", "The attempt was begun ten times and never came to an end.", "The operator’s log may tell why the process ended each time."},
	callbacks.ClassInternal:    {"internal error", "Ringback failed at it.", "The operator’s log tells more."},
	callbacks.ClassLocal:       {"no resources here", "Ringback’s machine had no file or memory left to call with. The receiver was not called.", "It goes on by itself; the operator may raise the limit of open files."},
	callbacks.ClassProxy:       {"proxy failed", "The operator’s proxy opened no connection. The receiver was not called.", "See callbacks.proxy."},
	callbacks.ClassInterrupted: {"interrupted", "Ringback ended while the attempt was under way.", "It is made again by itself."},
}

// cancelWords say why a delivery was cancelled.
var cancelWords = map[string]string{
	callbacks.ReasonDisabled: "endpoint off", callbacks.ReasonDeleted: "endpoint deleted", callbacks.ReasonByHand: "by hand",
}

// nextWords say what comes after an attempt, and why.
func nextWords(d *callbacks.Delivery, a *callbacks.Attempt, last bool) (title, why string) {
	if a.StatusCode/100 == 2 && a.ErrorClass == "" {
		return "Delivered. Nothing more is sent.", "Any 2xx answer ends the delivery."
	}
	words := classWords[a.ErrorClass]
	why = words.why
	if a.ErrorClass == "" {
		why = statusWhy(a.StatusCode)
	}
	switch {
	case !last:
		return "It was tried again.", why
	case d.State == callbacks.Waiting && d.HeldSince > 0:
		return "It waits until the receiver answers again.", why + " Too many calls in a row have failed, so the receiver is only probed; nothing is lost meanwhile."
	case d.State == callbacks.Waiting, d.State == callbacks.Sending:
		return "It is tried again.", why
	case d.State == callbacks.Failed:
		return "Gave up.", why
	}
	return "Nothing more is sent.", why
}

// todoWords say what to do about an attempt that failed.
func todoWords(a *callbacks.Attempt) string {
	if a.ErrorClass != "" {
		return classWords[a.ErrorClass].todo
	}
	switch {
	case a.StatusCode == http.StatusUnauthorized || a.StatusCode == http.StatusForbidden:
		return "Compare the receiver’s secret and the headers that it asks for with this endpoint’s; ‘ringback verify’ tells what is wrong with a captured request."
	case a.StatusCode == http.StatusNotFound || a.StatusCode == http.StatusMethodNotAllowed:
		return "Correct the URL’s path, or the method that the receiver takes."
	case a.StatusCode == http.StatusGone:
		return "The receiver said that it is gone; switch the endpoint on again if it is not."
	case a.StatusCode == http.StatusRequestEntityTooLarge:
		return "Raise the size that the receiver takes, or lower limits.event_bytes."
	case a.StatusCode/100 == 4:
		return "The receiver refused the request. Its answer above may say why."
	case a.StatusCode/100 == 5:
		return "Mend the receiver, then retry; or wait, it is retried by the schedule."
	}
	return ""
}

func statusWhy(status int) string {
	switch {
	case status == http.StatusGone:
		return "410 says that the receiver wants nothing any more: the endpoint is switched off."
	case status == http.StatusTooManyRequests:
		return "The receiver asks for fewer calls; its Retry-After is obeyed."
	case status/100 == 5:
		return "The receiver had an error. 5xx is retried by the schedule; a later Retry-After is obeyed."
	case status/100 == 4:
		return "The receiver refused it. All but 410 is retried by the schedule."
	}
	return "Only 2xx counts as delivered."
}
