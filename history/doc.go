// Package history counts what happens by slots of time, for charts: lines, calls, callbacks, tokens.
//
// A [Recorder] adds up in memory and hands changed slots to the store every two seconds. So the history is approximate by
// nature: a kill loses what was counted since the last write, and nothing else is decided by it. Each process writes rows of
// its own (their Source), so that none waits for another; whoever reads adds them up.
//
// This package knows slots, their spans and the spread of durations. Package store keeps them.
package history
