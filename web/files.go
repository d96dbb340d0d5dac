package web

import (
	"context"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/ringback/ringback/jobs"
)

// FileService keeps uploaded and produced files.
type FileService interface {
	// Spool streams an upload to where bytes are kept; on an error nothing of it stays.
	Spool(ctx context.Context, r io.Reader) (*jobs.Spooled, error)
	// Discard removes spooled bytes that became no file.
	Discard(ctx context.Context, sp *jobs.Spooled) error
	// KeepFile makes spooled bytes a file; on an error, *jobs.Replay too, the bytes are gone.
	KeepFile(ctx context.Context, sp *jobs.Spooled, n jobs.NewFile) (jobs.File, error)
	// FileContent opens a file's bytes; the caller closes them.
	FileContent(ctx context.Context, ref jobs.Ref) (jobs.File, io.ReadCloser, error)
	DeleteFile(ctx context.Context, ref jobs.Ref) error
}

// FileReader reads files' facts.
type FileReader interface {
	File(ctx context.Context, ref jobs.Ref) (jobs.File, error)
	Files(ctx context.Context, q jobs.FileQuery) (found []jobs.File, more bool, err error)
}

type files struct {
	*core
	jobs  FileService
	facts FileReader
}

const listFiles = 10_000 // entries of a list of files, by default and at most (OpenAI's)

// formRoom is what a form may be longer than its file.
const formRoom = 1 << 20

func (f *files) create(c *gin.Context) error {
	return f.once(c, http.StatusOK, func(k key) ([]byte, error) {
		parts, err := f.openForm(c, fieldFile, f.fileBytes)
		if err != nil {
			return nil, err
		}
		u := &upload{fields: map[string]string{}}
		if err := u.read(c.Request.Context(), parts, f.jobs.Spool); err != nil {
			return nil, f.discard(c, u, err)
		}
		return f.keep(c, k, u)
	})
}

// openForm bounds the length of a form by that of the field with its bytes; most is 0 for no bound. One that says it is
// too long is refused before a byte of it is read. The request keeps its own body: net/http must know it, or it would
// read on after the refusal.
func (s *core) openForm(c *gin.Context, field string, most int64) (*multipart.Reader, error) {
	if most == 0 {
		return formParts(c.Request, field)
	}
	limit := most + formRoom
	if c.Request.ContentLength > limit {
		return nil, jobs.Errorf(jobs.CodeTooLarge, field, "The part '%s' is larger than %d bytes, the most that is accepted.", field, most)
	}
	bounded := c.Request.WithContext(c.Request.Context())
	bounded.Body = http.MaxBytesReader(c.Writer, c.Request.Body, limit)
	return formParts(bounded, field)
}

// keep makes the upload a file. From KeepFile on its bytes are the service's concern.
func (f *files) keep(c *gin.Context, k key, u *upload) ([]byte, error) {
	ttl, err := u.ttl()
	if err == nil && u.spooled == nil {
		err = missing(fieldFile)
	}
	if err != nil {
		return nil, f.discard(c, u, err)
	}
	file, err := f.jobs.KeepFile(c.Request.Context(), u.spooled, jobs.NewFile{
		ProjectID: f.project(c), Filename: u.filename, Purpose: u.fields[fieldPurpose], TTL: ttl,
		Idempotency: k.over(u.content()...),
	})
	if err != nil {
		return nil, err
	}
	return file.Object(), nil
}

// discard leaves no bytes of a refused upload behind and returns why it was refused.
func (f *files) discard(c *gin.Context, u *upload, why error) error {
	if u.spooled == nil {
		return why
	}
	if err := f.jobs.Discard(context.WithoutCancel(c.Request.Context()), u.spooled); err != nil {
		f.log.Warn("a refused upload's bytes stay", "request", requestID(c), "blob", u.spooled.Blob, "err", err)
	}
	return why
}

func (f *files) list(c *gin.Context) error {
	p, err := readPage(c, listFiles, listFiles)
	if err != nil {
		return err
	}
	order, err := oneOf(c, "order", "asc", "desc")
	if err != nil {
		return err
	}
	if !storable(c.Query("purpose")) {
		return ok(c, list(nil, false))
	}
	found, more, err := f.facts.Files(c.Request.Context(), jobs.FileQuery{
		ProjectID: f.project(c), Purpose: c.Query("purpose"), After: p.after, Limit: p.limit, Ascending: order == "asc",
	})
	if err != nil {
		return p.listError(err)
	}
	return ok(c, list(objectsOf(found, (*jobs.File).Object), more))
}

func (f *files) get(c *gin.Context) error {
	ref, err := f.fileRef(c)
	if err != nil {
		return err
	}
	file, err := f.facts.File(c.Request.Context(), ref)
	if err != nil {
		return noFile(err, ref.ID)
	}
	return ok(c, file.Object())
}

func (f *files) delete(c *gin.Context) error {
	ref, err := f.fileRef(c)
	if err != nil {
		return err
	}
	if err := f.jobs.DeleteFile(c.Request.Context(), ref); err != nil {
		return noFile(err, ref.ID)
	}
	return ok(c, encode(deleted{ID: ref.ID, Object: "file", Deleted: true}))
}

type deleted struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Deleted bool   `json:"deleted"`
}

func (f *files) content(c *gin.Context) error {
	ref, err := f.fileRef(c)
	if err != nil {
		return err
	}
	file, bytes, err := f.jobs.FileContent(c.Request.Context(), ref)
	if err != nil {
		return noFile(err, ref.ID)
	}
	defer func() { _ = bytes.Close() }()
	c.Header("Content-Type", "application/octet-stream")
	c.Header("Content-Length", strconv.FormatInt(file.Bytes, 10))
	c.Header("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": file.Filename}))
	c.Writer.WriteHeaderNow()
	if c.Request.Method == http.MethodHead {
		return nil
	}
	_, err = io.Copy(c.Writer, bytes)
	return err
}

func (f *files) fileRef(c *gin.Context) (jobs.Ref, error) {
	ref := f.ref(c)
	if !storable(ref.ID) {
		return ref, noFile(jobs.NotFound(""), ref.ID)
	}
	return ref, nil
}

// noFile says in OpenAI's words that a file is not there; other errors pass.
func noFile(err error, id string) error {
	if jobs.IsCode(err, jobs.CodeNotFound) {
		return jobs.NotFound("No such File object: %s", id)
	}
	return err
}
