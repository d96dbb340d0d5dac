package simulator

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// A tuningEvent is one entry of a job's history, as the API shows it.
type tuningEvent struct {
	Object    string   `json:"object"`
	ID        string   `json:"id"`
	CreatedAt int64    `json:"created_at"`
	Level     string   `json:"level"`
	Message   string   `json:"message"`
	Type      string   `json:"type"`
	Data      *metrics `json:"data"`

	at time.Time
}

// A history collects the events of a job that have happened by an instant.
type history struct {
	t   *tuning
	now time.Time
	all []tuningEvent
}

// events are those that have happened by now, newest first. An event keeps its
// ID and time, whatever comes after it.
func (t *tuning) events(now time.Time) []tuningEvent {
	h := &history{t: t, now: now}
	h.said(0, "Created fine-tuning job: "+t.ID)
	h.said(0, "Validating training file: "+t.validating())
	if t.Fault == nil {
		h.said(t.validatedAt(), "Files validated, moving job to queued state")
		h.said(t.startsAt(), "Fine-tuning job started")
		h.steps()
	}
	h.pauses()
	h.end()
	slices.SortStableFunc(h.all, func(a, b tuningEvent) int { return a.at.Compare(b.at) })
	slices.Reverse(h.all)
	return h.all
}

func (t *tuning) validating() string {
	if t.Validation == "" {
		return t.Training
	}
	return t.Training + " and validation file: " + t.Validation
}

func (h *history) said(moment time.Duration, message string) { h.add(moment, "info", message, nil) }

func (h *history) add(moment time.Duration, level, message string, data *metrics) {
	if at, yes := h.t.reached(moment, h.now); yes {
		h.put(at, level, message, data)
	}
}

func (h *history) put(at time.Time, level, message string, data *metrics) {
	kind := "message"
	if data != nil {
		kind = "metrics"
	}
	id := mix(hash(hash(hashStart, h.t.ID), message) ^ uint64(at.UnixNano()))
	h.all = append(h.all, tuningEvent{
		Object: "fine_tuning.job.event", ID: string(appendHex([]byte("ftevent-"), id)), CreatedAt: at.Unix(),
		Level: level, Message: message, Type: kind, Data: data, at: at,
	})
}

func (h *history) steps() {
	checkpoints := h.t.checkpointSteps()
	for step := 1; step <= tuningSteps && step != h.t.FailAt; step++ {
		m := h.t.metricsAt(step)
		total := tuningSteps
		m.TotalSteps = &total
		message := fmt.Sprintf("Step %d/%d: training loss=%.2f", step, tuningSteps, m.TrainLoss)
		if m.ValidLoss != nil {
			message += fmt.Sprintf(", validation loss=%.2f", *m.ValidLoss)
		}
		h.add(h.t.stepAt(step), "info", message, &m)
		if slices.Contains(checkpoints, step) {
			h.said(h.t.stepAt(step), fmt.Sprintf("Checkpoint created at step %d", step))
		}
	}
}

func (h *history) pauses() {
	for _, p := range h.t.Pauses {
		h.put(p.From, "info", "The job has been paused", nil)
		if !p.open() {
			h.put(p.Resumed, "info", "The job has been resumed", nil)
		}
	}
}

func (h *history) end() {
	status, moment := h.t.outcome()
	switch {
	case !h.t.Cancelled.IsZero():
		h.put(h.t.Cancelled, "info", "The job has been cancelled", nil)
	case status == tuningFailed:
		h.add(moment, "error", h.t.failure().Message, nil)
	default:
		h.said(moment, "New fine-tuned model created: "+h.t.Name)
		h.said(moment, "The job has successfully completed")
	}
}

// A checkpoint is a tuned model on the way, as the API shows it.
type checkpoint struct {
	ID        string  `json:"id"`
	Object    string  `json:"object"`
	CreatedAt int64   `json:"created_at"`
	Model     string  `json:"fine_tuned_model_checkpoint"`
	JobID     string  `json:"fine_tuning_job_id"`
	Step      int     `json:"step_number"`
	Metrics   metrics `json:"metrics"`
}

// checkpointSteps are where a third, two thirds and all of the steps are done.
func (t *tuning) checkpointSteps() []int {
	return []int{(tuningSteps + 2) / 3, (2*tuningSteps + 2) / 3, tuningSteps}
}

// checkpoints are those made by now, highest step first.
func (t *tuning) checkpoints(now time.Time) []checkpoint {
	var made []checkpoint
	for _, step := range t.checkpointSteps() {
		at, yes := t.reached(t.stepAt(step), now)
		if _, end := t.outcome(); !yes || t.stepAt(step) >= end {
			continue
		}
		m := t.metricsAt(step)
		m.FullValidLoss, m.FullValidAccuracy = m.ValidLoss, m.ValidAccuracy
		name := checkpointName(t.Name, step)
		made = append(made, checkpoint{
			ID: string(appendHex([]byte("ftckpt_"), mix(hash(hashStart, name)))), Object: "fine_tuning.job.checkpoint",
			CreatedAt: at.Unix(), Model: name, JobID: t.ID, Step: step, Metrics: m,
		})
	}
	slices.SortFunc(made, func(a, b checkpoint) int { return cmp.Compare(b.Step, a.Step) })
	return made
}

const checkpointMark = ":ckpt-step-"

func checkpointName(of string, step int) string {
	return fmt.Sprintf("%s%s%d", of, checkpointMark, step)
}
