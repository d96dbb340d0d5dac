package simulator

import (
	"errors"
	"io"
	"io/fs"
	"mime/multipart"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// maxFile is the longest file, as at OpenAI; the form around it comes on top.
	maxFile      = 512 << 20
	maxForm      = maxFile + 1<<20
	maxFormField = 4 << 10
	minLifetime  = 3600
	maxLifetime  = 30 * 24 * 3600
)

// An incoming is a file's form while it is read: its parts come in any order.
type incoming struct {
	bytes    spool
	name     string
	purpose  string
	anchor   string
	lifetime string
}

// createFile spools the form first and judges it then, because the file may
// stand before its purpose. Directives in the file's name are played once the
// file is kept, so that a client can miss the answer to an upload that was made.
func (s *Simulator) createFile(a *account, c *call) *problem {
	in := new(incoming)
	defer func() {
		if in.bytes.File != nil {
			in.bytes.discard()
		}
	}()
	if p := in.read(a, c); p != nil {
		return p
	}
	f, p := in.file(c.started)
	if p != nil {
		return p
	}
	c.prompt = in.name
	if p := s.direct(c); p != nil {
		return p
	}
	f, err := a.keepFile(in.bytes, f)
	if err != nil {
		return storageFailed(err)
	}
	c.wait(c.plan.wait)
	if s.play(c) {
		return nil
	}
	return c.reply(f.object())
}

func (in *incoming) read(a *account, c *call) *problem {
	c.r.Body = http.MaxBytesReader(c.w, c.r.Body, maxForm)
	form, err := c.r.MultipartReader()
	if err != nil {
		return badRequest("", "", "Send the file as multipart/form-data, with the fields 'file' and 'purpose'.")
	}
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return brokenForm(err)
		}
		if p := in.take(a, part); p != nil {
			return p
		}
	}
}

func brokenForm(err error) *problem {
	var disk *fs.PathError
	if errors.As(err, &disk) {
		return storageFailed(err)
	}
	var over *http.MaxBytesError
	if errors.As(err, &over) {
		return &problem{
			status: http.StatusRequestEntityTooLarge, typ: invalidRequest, param: "file",
			message: "The file is over 512 MiB. Send less in one file.",
		}
	}
	return badRequest("", "", "The form broke off or is not multipart/form-data. Send it again, whole.")
}

func (in *incoming) take(a *account, part *multipart.Part) *problem {
	name := part.FormName()
	if name == "file" {
		return in.takeFile(a, part)
	}
	raw, err := io.ReadAll(io.LimitReader(part, maxFormField+1))
	if err != nil {
		return brokenForm(err)
	}
	if len(raw) > maxFormField {
		return badRequest(name, "string_above_max_length", "Invalid '%s': give %d bytes or fewer.", name, maxFormField)
	}
	switch name {
	case "purpose":
		in.purpose = string(raw)
	case "expires_after[anchor]":
		in.anchor = string(raw)
	case "expires_after[seconds]":
		in.lifetime = string(raw)
	default:
		return badRequest(name, "unknown_parameter", "Unknown parameter: '%s'.", name)
	}
	return nil
}

func (in *incoming) takeFile(a *account, part *multipart.Part) (p *problem) {
	if in.bytes.File != nil {
		return badRequest("file", "invalid_value", "Send one 'file' in a form, not several.")
	}
	var err error
	if in.bytes, err = a.spool(); err != nil {
		return storageFailed(err)
	}
	in.name = part.FileName()
	size, err := io.Copy(in.bytes, part)
	if err == nil && size > maxFile {
		err = &http.MaxBytesError{Limit: maxFile}
	}
	if err != nil {
		return brokenForm(err)
	}
	return nil
}

// file judges the form.
func (in *incoming) file(now time.Time) (file, *problem) {
	purposes := []string{"assistants", "batch", "fine-tune", "vision", "user_data", "evals"}
	switch {
	case in.bytes.File == nil:
		return file{}, missing("file")
	case in.purpose == "":
		return file{}, missing("purpose")
	case !slices.Contains(purposes, in.purpose):
		return file{}, badRequest("purpose", "invalid_value",
			"Invalid value for 'purpose'. Supported values are: '%s'.", strings.Join(purposes, "', '"))
	case in.purpose == "batch" && !strings.HasSuffix(in.name, ".jsonl"):
		return file{}, badRequest("file", "", "Invalid file format for Batch API. Must be .jsonl")
	case in.purpose == "fine-tune" && !strings.HasSuffix(in.name, ".jsonl"):
		return file{}, badRequest("file", "", "Invalid file format for Fine-Tuning API. Must be .jsonl")
	}
	f := file{ID: newID(filePrefix), Name: in.name, Purpose: in.purpose, Created: now}
	if in.purpose == "batch" {
		f.Lifetime = maxLifetime
	}
	if in.lifetime == "" && in.anchor == "" {
		return f, nil
	}
	seconds, err := strconv.ParseInt(in.lifetime, 10, 64)
	if in.anchor != "created_at" || err != nil || seconds < minLifetime || seconds > maxLifetime {
		return file{}, badRequest("expires_after", "invalid_value",
			"Invalid 'expires_after': the anchor is 'created_at', the seconds are %d to %d.", minLifetime, maxLifetime)
	}
	f.Lifetime = seconds
	return f, nil
}
