package web

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/jobs"
)

// The fields of forms: of a file, and of one part of a file.
const (
	fieldData    = "data"
	fieldFile    = "file"
	fieldPurpose = "purpose"
	fieldAnchor  = "expires_after[anchor]"
	fieldSeconds = "expires_after[seconds]"
)

// Bounds of what a form may say in text.
const (
	maxFieldBytes = 1024
	maxFilename   = 255 // characters
)

// upload is a multipart form as it came. Its parts may stand in any order: clients differ.
type upload struct {
	fields   map[string]string
	filename string
	spooled  *jobs.Spooled // nil until the file part has come
}

// formParts opens a multipart request without reading it. The field is what its bytes come in.
func formParts(r *http.Request, field string) (*multipart.Reader, error) {
	if err := plainEncoding(r.Header); err != nil {
		return nil, err
	}
	parts, err := r.MultipartReader()
	if err != nil {
		e := jobs.Errorf(jobs.CodeInvalid, "Content-Type", "The upload must be multipart/form-data with a boundary. Send the bytes as part '%s' of such a form.", field)
		e.Err = err
		return nil, e
	}
	return parts, nil
}

// spooler takes the file's bytes.
type spooler func(ctx context.Context, r io.Reader) (*jobs.Spooled, error)

// read takes all parts. On an error the caller discards what is spooled.
func (u *upload) read(ctx context.Context, parts *multipart.Reader, spool spooler) error {
	return eachPart(parts, func(part *multipart.Part) error { return u.take(ctx, part, spool) })
}

// eachPart hands over a form's parts in their order until one is refused.
func eachPart(parts *multipart.Reader, take func(*multipart.Part) error) error {
	for {
		part, err := parts.NextRawPart()
		if err == io.EOF { //nolint:errorlint // a wrapped EOF is a body that was cut off
			return nil
		}
		if err != nil {
			return brokenForm(err)
		}
		if err := take(part); err != nil {
			return err
		}
	}
}

func (u *upload) take(ctx context.Context, part *multipart.Part, spool spooler) error {
	switch name := part.FormName(); name {
	case fieldFile:
		return u.takeFile(ctx, part, spool)
	case fieldPurpose, fieldAnchor, fieldSeconds:
		return u.takeField(name, part)
	case "":
		return jobs.Errorf(jobs.CodeInvalid, "", "A part of the form has no name. The parts are 'file', 'purpose', '%s' and '%s'.", fieldAnchor, fieldSeconds)
	default:
		return jobs.Errorf(codeUnknownField, name, "Unknown parameter: '%s'.", name)
	}
}

func (u *upload) takeFile(ctx context.Context, part *multipart.Part, spool spooler) error {
	if u.spooled != nil {
		return jobs.Errorf(jobs.CodeInvalid, fieldFile, "The form has more than one part 'file'. Upload one file at a time.")
	}
	u.filename = part.FileName()
	if u.filename == "" {
		return jobs.Errorf(jobs.CodeType, fieldFile, "Invalid type for 'file': expected a file with a filename, but got a text instead.")
	}
	if !storable(u.filename) || utf8.RuneCountInString(u.filename) > maxFilename {
		return jobs.Errorf(jobs.CodeValue, fieldFile, "Invalid filename of 'file': at most %d characters of UTF-8 without NUL are accepted.", maxFilename)
	}
	return u.spool(ctx, part, spool)
}

// spool keeps a part's bytes.
func (u *upload) spool(ctx context.Context, part io.Reader, spool spooler) error {
	source := &watched{r: part}
	spooled, err := spool(ctx, source)
	if source.err != nil {
		return brokenForm(source.err)
	}
	u.spooled = spooled
	return err
}

func (u *upload) takeField(name string, part io.Reader) error {
	if _, twice := u.fields[name]; twice {
		return repeated(name)
	}
	text, err := io.ReadAll(io.LimitReader(part, maxFieldBytes+1))
	if err != nil {
		return brokenForm(err)
	}
	if len(text) > maxFieldBytes {
		return jobs.Errorf(codeTooLong, name, "Invalid '%s': string too long. At most %d bytes are accepted.", name, maxFieldBytes)
	}
	if !storable(string(text)) {
		return jobs.Errorf(jobs.CodeValue, name, "Invalid value for '%s': it must be UTF-8 without NUL.", name)
	}
	u.fields[name] = string(text)
	return nil
}

// ttl is how long the client wants the file kept; zero says nothing.
func (u *upload) ttl() (time.Duration, error) {
	anchor, anchored := u.fields[fieldAnchor]
	seconds, timed := u.fields[fieldSeconds]
	switch {
	case !anchored && !timed:
		return 0, nil
	case !anchored:
		return 0, missing(fieldAnchor)
	case !timed:
		return 0, missing(fieldSeconds)
	}
	return lifetime(anchor, fieldSeconds, gjson.Result{Type: gjson.Number, Raw: seconds}, fieldAnchor)
}

// content is what an Idempotency-Key is bound to: the fields, the filename and the file's hash.
func (u *upload) content() [][]byte {
	return [][]byte{
		[]byte(u.fields[fieldPurpose]), []byte(u.fields[fieldAnchor]), []byte(u.fields[fieldSeconds]),
		[]byte(u.filename), bytes.Clone(u.spooled.Hash),
	}
}

// watched remembers whether reading failed: then it is the client's body that broke, not the disk. A refusal of the
// request's size is passed on as it is.
type watched struct {
	r   io.Reader
	err error
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if err != nil && err != io.EOF { //nolint:errorlint // a wrapped EOF is a body that was cut off
		w.err = err
	}
	return n, err
}

// brokenForm tells a body that is too long from one that ends early or is no form.
func brokenForm(err error) error {
	var long *http.MaxBytesError
	if errors.As(err, &long) {
		return err
	}
	if strings.Contains(err.Error(), "too large") { // mime/multipart's limit on a part's headers
		return jobs.Errorf(jobs.CodeInvalid, "", "A part of the form has too many or too long headers.")
	}
	return broken(err)
}
