package simulator

import (
	"net/http"
	"slices"
	"strings"
)

// batchPaths are what a batch's lines may ask for, as at OpenAI.
func batchPaths() []string {
	return []string{
		"/v1/responses", "/v1/chat/completions", "/v1/embeddings", "/v1/completions", "/v1/moderations",
		"/v1/images/generations",
	}
}

// createBatch refuses what the request alone shows to be wrong. An input file
// that is not there, or wrong lines, fail the batch later.
func (s *Simulator) createBatch(a *account, c *call) *problem {
	root, p := c.object("input_file_id", "endpoint", "completion_window", "metadata")
	if p != nil {
		return p
	}
	b := batch{ID: newID(batchPrefix), Created: c.started, Status: batchValidating}
	window := ""
	for _, field := range []struct {
		name string
		to   *string
	}{{"input_file_id", &b.Input}, {"endpoint", &b.Path}, {"completion_window", &window}} {
		if *field.to, p = text(root, field.name, true); p != nil {
			return p
		}
	}
	if paths := batchPaths(); !slices.Contains(paths, b.Path) {
		return badRequest("endpoint", "invalid_value",
			"Invalid value: '%s'. Supported values are: '%s'.", b.Path, strings.Join(paths, "', '"))
	}
	if window != "24h" {
		return badRequest("completion_window", "invalid_value", "Invalid value for 'completion_window'. Supported values are: '24h'.")
	}
	if p := checkMetadata(root.Get("metadata")); p != nil {
		return p
	}
	b.Metadata = rawOr(root.Get("metadata"), `null`)
	if err := a.batches.put(b.ID, b); err != nil {
		return storageFailed(err)
	}
	s.startBatch(a, b.ID)
	return c.reply(b.object())
}

func noBatch(id string) *problem {
	return &problem{
		status: http.StatusNotFound, typ: invalidRequest, message: "No batch found with id '" + id + "'.",
	}
}

func listBatches(a *account, c *call) *problem {
	var list []batchObject
	for _, b := range a.batches.all() {
		list = append(list, a.withCounts(b).object())
	}
	return replyPage(c, list, func(o batchObject) string { return o.ID }, maxPage, usualPage)
}

func getBatch(a *account, c *call) *problem {
	id := c.r.PathValue("id")
	b, found := a.batches.get(id)
	if !found {
		return noBatch(id)
	}
	return c.reply(a.withCounts(b).object())
}

// cancelBatch interrupts the calls in flight; what is done is kept.
func cancelBatch(a *account, c *call) *problem {
	id := c.r.PathValue("id")
	if _, found := a.batches.get(id); !found {
		return noBatch(id)
	}
	b, p := a.batches.change(id, func(b *batch) *problem {
		switch {
		case b.Status == batchCancelling, b.Status == batchCancelled:
		case b.ended():
			c.w.Header().Set("X-Should-Retry", "false")
			return &problem{
				status: http.StatusConflict, typ: invalidRequest,
				message: "Cannot cancel a batch with status '" + b.Status + "'.",
			}
		default:
			*b = b.moved(batchCancelling, c.started)
		}
		return nil
	})
	if p != nil {
		return p
	}
	a.interrupt(id)
	return c.reply(a.withCounts(b).object())
}
