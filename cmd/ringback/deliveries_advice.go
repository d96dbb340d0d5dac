package main

import (
	"fmt"

	"github.com/ringback/ringback/callbacks"
)

// classWords say for each class of error what it means and what helps.
var classWords = map[callbacks.Class]string{
	callbacks.ClassDNS:         "the host's name was not found: check its spelling, and its DNS",
	callbacks.ClassConnect:     "nothing accepts connections there: is the receiver up, is the port right, does a firewall stand between?",
	callbacks.ClassTLS:         "no secure connection: its certificate has expired, is for another name, or comes from a CA that is not known (callbacks.ca_file adds one)",
	callbacks.ClassTimeout:     "no answer in time: answer 2xx first and work afterwards, or give the endpoint more time (ringback endpoints update ID --timeout 30s)",
	callbacks.ClassReset:       "the receiver closed the connection without an answer: look in its log",
	callbacks.ClassInvalid:     "what came is no HTTP answer: is it a web server, and does it speak https?",
	callbacks.ClassRedirect:    "a redirect is never followed: name the URL that it points to",
	callbacks.ClassBlocked:     "callbacks go to public addresses only: use one, or let the operator open this network (callbacks.allow_cidrs)",
	callbacks.ClassSelf:        "the URL points at Ringback itself: name the receiver's",
	callbacks.ClassClosed:      "the URL's scheme or port is not open: use https on port 443, or let the operator open it (callbacks.allow_http, callbacks.allow_ports)",
	callbacks.ClassSecret:      "there is nothing to sign with: make a new secret (ringback endpoints rotate-secret ID)",
	callbacks.ClassUnreadable:  "the server could not read the event or the receiver, and sent nothing: see its log",
	callbacks.ClassClaims:      "the server ended ten times in a row during this delivery, and gave it up: see its log",
	callbacks.ClassInternal:    "the server failed, not the receiver: see its log",
	callbacks.ClassLocal:       "the server ran out of files or memory, and sent nothing: tell its operator",
	callbacks.ClassProxy:       "the operator's proxy opened no way to the receiver: tell the operator",
	callbacks.ClassInterrupted: "the server ended during the attempt; it may have arrived",
}

// reasonWords say why a delivery ended where no answer says it.
var reasonWords = map[string]string{
	callbacks.ReasonDisabled:    "its endpoint was switched off",
	callbacks.ReasonDeleted:     "its endpoint was deleted",
	callbacks.ReasonBreakerOpen: "its receiver has not answered for three days",
	callbacks.ReasonByHand:      "somebody cancelled it",
	"gone":                      "the receiver wants no more callbacks (410)",
	"disable":                   "the receiver asked to be switched off",
	"abort-message":             "the receiver does not want this event",
}

// adviceFor is what an attempt's end means; "" for one that was accepted.
func adviceFor(class string, status int) string {
	switch text := classWords[callbacks.Class(class)]; {
	case text != "":
		return text
	case class != "":
		return "it failed: " + clean(class)
	case status/100 == 2:
		return ""
	case status >= 500:
		return fmt.Sprintf("the receiver failed (%d): look in its log", status)
	}
	return fmt.Sprintf("the receiver refused it (%d): %s", status, refusalAdvice(status))
}
