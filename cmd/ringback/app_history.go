package main

import (
	"context"
	"time"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/history"
	"github.com/ringback/ringback/providers"
)

// openHistory makes what counts by slots of time, before the parts that are counted.
func (a *app) openHistory(context.Context) error {
	a.history = history.NewRecorder(a.owner, time.Now)
	return nil
}

// callSeries is where a call counts; nowhere if this side ended it for reasons of its own.
func callSeries(outcome providers.Kind) string {
	switch outcome {
	case "":
		return history.CallsOK
	case providers.RateLimited:
		return history.CallsLimited
	case providers.Canceled:
		return ""
	}
	return history.CallsFailed
}

var callbackSeries = map[callbacks.State]string{
	callbacks.Delivered: history.CallbacksDelivered, callbacks.Waiting: history.CallbacksRetried, callbacks.Failed: history.CallbacksGaveUp,
}

func (a *app) attempted(held []callbacks.Outcome) {
	for i := range held {
		o := &held[i]
		a.history.Callback(o.Claimed.ProjectID, callbackSeries[o.Decision.State], o.Claimed.EndpointID, o.Took)
	}
}

func (a *app) gaveUp(ended []callbacks.Delivery) {
	for i := range ended {
		a.history.Callback(ended[i].ProjectID, history.CallbacksGaveUp, ended[i].EndpointID, 0)
	}
}

// lastHistory bounds the last write of what was counted.
const lastHistory = 5 * time.Second

// closeHistory writes what was counted since the last write, when nothing counts any more.
func (a *app) closeHistory() {
	if a.history == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), lastHistory)
	defer cancel()
	if _, err := a.history.Flush(ctx, a.store); err != nil {
		a.log.Warn("the last seconds of the history are not kept", "err", err)
	}
}
