package main

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const listenHelp = `Follow the project's events and forward them to a program on this machine.

Each event reaches --forward-to as a callback does: the same body, the same
headers, signed with the project's secret. No tunnel is needed: the connection
goes from here to the server. Without --forward-to events are only printed.

Events go out one at a time, in order. It begins with the events that happen
from now on, or with those after --since. When the server goes away, it
reconnects and goes on after the last event that was forwarded.

A forward that fails (no 2xx within --timeout) is printed, with what to do, and
is not tried again, so that you see each failure at once and in order: mend your
program, then send it once more with --since and the ID of the event before it.
--retry N tries N times more, after 1 s, 2 s, 4 s … up to 30 s, while later
events wait; a 410 ends the tries, as it does for Ringback. Ctrl-C ends it and
prints how many there were.`

// listenCommand is one `listen`, as the flags say it.
type listenCommand struct {
	secrets   secretFlags
	forwardTo string
	headers   []string
	types     string
	since     string
	shown     string
	json      bool
	retries   int
	timeout   time.Duration
}

func newListenCommand() *cobra.Command {
	l := &listenCommand{}
	cmd := &cobra.Command{
		Use:     "listen [--forward-to URL]",
		Short:   "Follow events and forward them to a program on this machine",
		Long:    listenHelp,
		Example: "  ringback listen --forward-to http://localhost:3000/hook\n  ringback listen --types 'batch.*,generation.failed' --json",
		Args:    cobra.NoArgs,
	}
	connect := clientFlags(cmd)
	l.addFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		client, err := connect()
		if err != nil {
			return err
		}
		defer client.Close()
		return l.run(cmd, client)
	}
	return cmd
}

func (l *listenCommand) addFlags(cmd *cobra.Command) {
	l.secrets.add(cmd, "to sign with (default: the project's, read from the server)")
	flags := cmd.Flags()
	flags.StringVar(&l.forwardTo, "forward-to", "", "`URL` to post each event to, as http://localhost:3000/hook")
	flags.StringArrayVar(&l.headers, "header", nil, "header to add to each forward, `'Name: value'`; repeatable")
	flags.StringVar(&l.types, "types", "*", "`TYPES` of events, as 'batch.*,generation.failed'")
	flags.StringVar(&l.since, "since", "", "`ID` of an event: begin with the one after it; 0 is the first (default: from now on)")
	flags.StringVar(&l.shown, "print", "line", "`WHAT` to print of an event: line, or body for its JSON as well")
	flags.BoolVar(&l.json, "json", false, "print one JSON object a line, with the event in it")
	flags.IntVar(&l.retries, "retry", 0, "try a failed forward `N` times more")
	flags.DurationVar(&l.timeout, "timeout", 10*time.Second, "time that one forward may take; Ringback's default is 10s")
}

func (l *listenCommand) run(cmd *cobra.Command, client *Client) error {
	if l.shown != "line" && l.shown != "body" {
		return usagef("--print %s is neither line nor body", l.shown)
	}
	if l.retries < 0 || l.timeout <= 0 {
		return usagef("--retry is 0 or more, and --timeout is above 0s")
	}
	forward, err := l.forwarder(cmd)
	if err != nil {
		return err
	}
	show := &listenPrinter{out: cmd.OutOrStdout(), notes: cmd.ErrOrStderr(), json: l.json, body: l.shown == "body"}
	s := &listenSession{
		client: client, types: l.types, last: l.since, forward: forward, show: show,
		pause: firstListenPause, idle: listenIdle,
	}
	if forward != nil {
		defer forward.http.CloseIdleConnections()
	}
	err = s.run(cmd.Context())
	if err == nil || show.events > 0 {
		show.count(s.last, forward != nil)
	}
	return err
}

// forwarder is nil where events are only printed. Its secret is "" where the
// server is to be asked.
func (l *listenCommand) forwarder(cmd *cobra.Command) (*forwarder, error) {
	secret, err := l.secrets.one(cmd.InOrStdin())
	if err != nil {
		return nil, err
	}
	if l.forwardTo == "" {
		if len(l.headers) > 0 || l.retries > 0 {
			return nil, usagef("--header and --retry belong to a forward: name its URL with --forward-to")
		}
		return nil, nil
	}
	if err := receiverURL(l.forwardTo); err != nil {
		return nil, err
	}
	headers, err := headerLines(l.headers)
	if err != nil {
		return nil, err
	}
	return &forwarder{
		url: l.forwardTo, headers: headers, secret: secret, retries: l.retries,
		pause: firstListenPause, http: receiverClient(l.timeout),
	}, nil
}

// receiverURL refuses what a callback could not be sent to at all; where it
// may go is the developer's own decision here.
func receiverURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return usagef("%q is not a receiver's URL, as in http://localhost:3000/hook", text)
	}
	return nil
}

// headerLines reads 'Name: value' lines.
func headerLines(lines []string) (http.Header, error) {
	header := http.Header{}
	for _, line := range lines {
		name, value, ok := strings.Cut(line, ":")
		if name = strings.TrimSpace(name); !ok || !isHeaderName(name) {
			return nil, usagef("--header %q is not 'Name: value'", line)
		}
		header.Add(name, strings.TrimSpace(value))
	}
	return header, nil
}

// receiverClient sends as callbacks are sent: it follows no redirect, keeps no
// cookies and goes through no proxy.
func receiverClient(timeout time.Duration) *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	return &http.Client{
		Transport:     transport,
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// interruptible waits; false means that ctx ended first.
func interruptible(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
