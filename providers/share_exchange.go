package providers

import (
	"context"
	"time"
)

// exchangeLimit bounds one exchange. Callers wait for its answer, within their
// patience.
const exchangeLimit = 500 * time.Millisecond

// run exchanges as long as the limiter is in use.
func (k *link) run(ctx context.Context) {
	for k.sleep(ctx) {
		ask := k.prepare()
		share, err := k.exchange(ctx, ask)
		if ctx.Err() == nil && !k.settle(ask, share, err) {
			return
		}
	}
	k.leave(ctx)
}

// sleep waits until the next exchange is due; false at the end of ctx.
func (k *link) sleep(ctx context.Context) bool {
	for {
		wait := k.wait()
		if wait <= 0 {
			return ctx.Err() == nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-k.wake:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return false
		}
	}
}

func (k *link) wait() time.Duration {
	k.limiter.mu.Lock()
	defer k.limiter.mu.Unlock()
	return k.due.Sub(k.limiter.now())
}

func (k *link) exchange(ctx context.Context, ask ShareAsk) (Share, error) {
	ctx, cancel := context.WithTimeout(ctx, exchangeLimit)
	defer cancel()
	return k.sharing.sharer.Share(ctx, k.name, ask)
}

// prepare gives up what is not wanted, and makes the ask.
func (k *link) prepare() ShareAsk {
	l := k.limiter
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	k.askAt = now
	demand := k.demand(now)
	want := k.want(demand)
	if !k.alone {
		k.slots = min(k.slots, want)
	}
	ask := ShareAsk{Limit: k.limit, Held: max(k.slots, l.inFlight), Want: want}
	if now.Sub(k.heard) < shareLease || !k.lost.IsZero() {
		ask.Known = k.known
	}
	k.askUnits(&ask, k.calls+float64(demand))
	k.tellTimes(&ask, now)
	k.peak, k.calls, k.asked = l.inFlight, 0, false
	return ask
}

func (k *link) askUnits(ask *ShareAsk, calls float64) {
	each := max(1, k.limiter.expected)
	ask.RequestRate, ask.RequestsUsed, ask.RequestsNeed = k.requests.rate, k.requests.spent(), k.requests.need(calls, 1)
	ask.TokenRate, ask.TokensUsed, ask.TokensNeed = k.tokens.rate, k.tokens.spent(), k.tokens.need(calls, each)
	ask.TokensLeast = each
}

// tellTimes tells what this process has learned from the provider itself, never what
// it has heard from the others: else they would tell each other without end.
func (k *link) tellTimes(ask *ShareAsk, now time.Time) {
	p := &k.limiter.pace
	if p.shut.After(now) && !p.shut.Equal(k.told) {
		ask.Shut = p.shut.Sub(now)
	}
	if p.outage.on() && p.outage.until.After(now) {
		ask.Down = p.outage.until.Sub(now)
	}
}

// settle takes in how an exchange went; false ends the exchanges until a caller comes.
func (k *link) settle(ask ShareAsk, share Share, err error) bool {
	l := k.limiter
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if err != nil {
		k.lose(err, now)
	} else {
		k.gain(ask, share, now)
	}
	l.dispatch()
	if k.idle() && ask.Want == 0 {
		k.running, k.slots, k.short, k.alone = false, 0, false, false
		return false
	}
	k.plan(ask, now)
	return true
}

func (k *link) gain(ask ShareAsk, share Share, now time.Time) {
	k.slots, k.known, k.heard = share.Slots, share.Known, now
	k.lost, k.alone = time.Time{}, false
	k.requests.fill(share.RequestsGranted, now.Add(share.RequestsIn))
	k.tokens.fill(share.TokensGranted, now.Add(share.TokensIn))
	k.hear(ask, share, now)
}

// hear takes over for how long the provider asked another process to wait. That
// another one finds nobody there may be its own network: it counts only where this
// process's last call found nobody either.
func (k *link) hear(ask ShareAsk, share Share, now time.Time) {
	p := &k.limiter.pace
	if ask.Shut > 0 {
		k.told = p.shut
	}
	if until := now.Add(min(share.Shut, afterMax)); share.Shut > 0 && until.After(p.shut) {
		p.shut, k.told = until, until
	}
	if share.Down > 0 && p.outage.run > 0 && !p.outage.on() {
		p.era++
		p.outage.run, p.outage.until = outageAfter, now.Add(min(share.Down, 2*backoffMax))
	}
}

// lose notes an ask without an answer.
func (k *link) lose(err error, now time.Time) {
	if k.lost.IsZero() {
		k.lost = k.askAt
	}
	if now.Sub(k.lost) >= aloneAfter {
		k.goAlone(err, now)
	}
}

// goAlone has the process go on with its part of the limits, so that all of them
// together keep within them: as long as no more have come than were known.
func (k *link) goAlone(err error, now time.Time) {
	known := max(k.known, 1)
	if !k.alone {
		k.log.Warn("no word from the other processes: calls go on with a part of the limits; see whether Redis answers", "processes", known, "err", err)
	}
	k.alone, k.slots = true, max(1, k.limit/known)
	k.requests.alone(known, now)
	k.tokens.alone(known, now)
}

// plan sets the time of the next exchange.
func (k *link) plan(ask ShareAsk, now time.Time) {
	k.short = k.slots < ask.Want
	short := k.short || ask.RequestsNeed > 0 && k.requests.empty() || ask.TokensNeed > 0 && k.tokens.empty()
	k.calm = now.Add(shareEvery)
	k.soonest, k.due = now.Add(shareSoon), now.Add(shareCalm)
	metered := k.requests.bucket != nil || k.tokens.bucket != nil
	switch {
	case short || !k.lost.IsZero():
		k.soonest, k.due = k.calm, k.calm
	case k.binds() && !k.gated(now):
		k.due = k.soonest
	case metered || k.idle() || ask.Held > k.slots || k.slots < k.limiter.inFlight:
		k.due = k.calm
	}
}

// leave gives everything back at the end of the process. Calls in flight go on and are
// told for the lease's time.
func (k *link) leave(ctx context.Context) {
	k.limiter.mu.Lock()
	k.slots = 0
	ask := ShareAsk{Limit: k.limit, Held: k.limiter.inFlight}
	k.askUnits(&ask, 0)
	k.limiter.mu.Unlock()
	_, _ = k.exchange(context.WithoutCancel(ctx), ask) // else the lease ends by itself
}
