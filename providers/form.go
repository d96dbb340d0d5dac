package providers

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
)

// Form is a multipart/form-data body with one file, which is read while it is
// sent: memory stays flat however long it is.
type Form struct {
	Fields [][2]string // names and values, sent in this order and before the file
	File   string      // name of the file's part, like "file"
	Name   string      // its filename; many upstreams go by its extension
	Size   int64       // of the file, in bytes: exactly so many are sent
	// Open gives the file, once for each call that is made. It is closed before
	// that call returns.
	Open func() (io.ReadCloser, error)
}

// openForm is a form on its way, and the file in it.
type openForm struct {
	*uploadForm
	file io.Closer
}

// attach makes the form the body of req, for [settled] to take off again.
func (f *Form) attach(req *http.Request) error {
	var framing bytes.Buffer
	w := multipart.NewWriter(&framing)
	if err := f.begin(w); err != nil {
		return unsendable(err)
	}
	head := bytes.Clone(framing.Bytes())
	framing.Reset()
	if err := w.Close(); err != nil {
		return unsendable(err)
	}
	file, err := f.Open()
	if err != nil {
		return unsent(err)
	}
	content := &exactContent{from: file, left: f.Size}
	form := &uploadForm{content: content, body: io.MultiReader(bytes.NewReader(head), content, &framing)}
	req.Header = req.Header.Clone()
	req.Header.Set("Content-Type", w.FormDataContentType())
	req.ContentLength = int64(len(head)) + f.Size + int64(framing.Len())
	req.Body = openForm{form, file}
	return nil
}

// begin writes all that stands before the file's first byte.
func (f *Form) begin(w *multipart.Writer) error {
	if f.Size < 0 || f.Open == nil {
		return errors.New("a form needs its file and the file's size")
	}
	for _, field := range f.Fields {
		if err := w.WriteField(field[0], field[1]); err != nil {
			return err
		}
	}
	_, err := w.CreateFormFile(f.File, f.Name)
	return err
}

// unsent is a file of this side's that could not be read. It is no failure of
// the provider's, and so must not look like one to its limiter.
func unsent(cause error) *Error {
	return &Error{Kind: Rejected, Retry: true, Message: "The file to be sent could not be read; try again later.", Err: cause}
}

// settled ends the reading of a form when its call has ended, closes its file,
// and says so where it was the file and not the connection that failed.
func settled(caller context.Context, req *http.Request, failure *Error) *Error {
	form, ok := req.Body.(openForm)
	if !ok {
		return failure
	}
	cause := form.stop()
	_ = form.file.Close()
	if cause != nil && failure != nil && failure.Status == 0 && caller.Err() == nil {
		return unsent(cause)
	}
	return failure
}
