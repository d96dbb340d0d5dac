package web

import (
	"context"
	"io"
	"math"
	"mime/multipart"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/gin-gonic/gin"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/jobs"
)

// UploadService takes files that come in parts.
type UploadService interface {
	CreateUpload(ctx context.Context, n jobs.NewUpload) (jobs.UploadSnapshot, error)
	// TakesParts refuses parts of an upload that has ended, before their bytes have come.
	TakesParts(ctx context.Context, ref jobs.Ref) error
	// SpoolPart streams a part to where bytes are kept; on an error nothing of it stays.
	SpoolPart(ctx context.Context, r io.Reader) (*jobs.Spooled, error)
	// AddPart makes spooled bytes a part; on an error, *jobs.Replay too, the bytes are gone.
	AddPart(ctx context.Context, ref jobs.Ref, sp *jobs.Spooled, idem *jobs.Idempotency) (jobs.UploadPart, error)
	CompleteUpload(ctx context.Context, n jobs.UploadEnd) (jobs.UploadSnapshot, error)
	CancelUpload(ctx context.Context, ref jobs.Ref) (jobs.UploadSnapshot, error)
}

// UploadReader reads uploads' facts.
type UploadReader interface {
	Upload(ctx context.Context, ref jobs.Ref) (jobs.UploadSnapshot, error)
}

type uploads struct {
	*core
	jobs  UploadService
	facts UploadReader
	files *files // discards what is refused
}

func (u *uploads) create(c *gin.Context) error {
	return u.once(c, http.StatusOK, func(k key) ([]byte, error) {
		body, err := u.readBody(c)
		if err != nil {
			return nil, err
		}
		n, err := bindUpload(body)
		if err != nil {
			return nil, err
		}
		n.ProjectID, n.Idempotency = u.project(c), k.over(body)
		return uploadObject(u.jobs.CreateUpload(c.Request.Context(), n))
	})
}

// uploadObject renders an upload unless there is an error instead.
func uploadObject(snapshot jobs.UploadSnapshot, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return snapshot.Object(), nil
}

func bindUpload(body []byte) (n jobs.NewUpload, err error) {
	root, err := parseBody(body)
	if err != nil {
		return n, err
	}
	f, err := readFields(root, "", "filename", "purpose", "bytes", "mime_type", "expires_after")
	if err != nil {
		return n, err
	}
	for _, field := range []struct {
		key  string
		text *string
	}{{"filename", &n.Filename}, {"purpose", &n.Purpose}, {"mime_type", &n.MimeType}} {
		if *field.text, err = f.text(field.key); err != nil {
			return n, err
		}
		if utf8.RuneCountInString(*field.text) > maxFilename {
			return n, jobs.Errorf(codeTooLong, field.key, "Invalid '%s': string too long. At most %d characters are accepted.", field.key, maxFilename)
		}
	}
	if n.Bytes, err = readInteger("bytes", f.members["bytes"], 1, math.MaxInt64); err != nil {
		return n, err
	}
	n.TTL, err = readExpiry("expires_after", f.members["expires_after"])
	return n, err
}

// readExpiry reads an expires_after object; absent is zero.
func readExpiry(name string, v gjson.Result) (time.Duration, error) {
	if v.Type == gjson.Null {
		return 0, nil
	}
	if !v.IsObject() {
		return 0, typeError(name, "an object", v)
	}
	f, err := readFields(v, name+".", "anchor", "seconds")
	if err != nil {
		return 0, err
	}
	if !f.given("anchor") {
		return 0, missing(name + ".anchor")
	}
	anchor, err := f.text("anchor")
	if err != nil {
		return 0, err
	}
	return lifetime(anchor, name+".seconds", f.members["seconds"], name+".anchor")
}

// get is Ringback's own: OpenAI has no way to ask how an upload stands.
func (u *uploads) get(c *gin.Context) error {
	ref, err := u.uploadRef(c)
	if err != nil {
		return err
	}
	object, err := uploadObject(u.facts.Upload(c.Request.Context(), ref))
	if err != nil {
		return err
	}
	return ok(c, object)
}

func (u *uploads) addPart(c *gin.Context) error {
	return u.once(c, http.StatusOK, func(k key) ([]byte, error) {
		ref, err := u.uploadRef(c)
		if err != nil {
			return nil, err
		}
		if k.text == "" { // a used key has its answer, whatever became of the upload since
			if err := u.jobs.TakesParts(c.Request.Context(), ref); err != nil {
				return nil, err
			}
		}
		sp, err := u.spool(c)
		if err != nil {
			return nil, err
		}
		p, err := u.jobs.AddPart(c.Request.Context(), ref, sp, k.over(sp.Hash))
		if err != nil {
			return nil, err
		}
		return p.Object(), nil
	})
}

// spool reads the form of a part, whose one field is data. On an error nothing of it stays.
func (u *uploads) spool(c *gin.Context) (*jobs.Spooled, error) {
	parts, err := u.openForm(c, fieldData, u.partBytes)
	if err != nil {
		return nil, err
	}
	form := &upload{}
	err = eachPart(parts, func(part *multipart.Part) error {
		if name := part.FormName(); name != fieldData {
			return jobs.Errorf(codeUnknownField, name, "Unknown parameter: '%s'. The one part of the form is '%s'.", name, fieldData)
		}
		if form.spooled != nil {
			return jobs.Errorf(jobs.CodeInvalid, fieldData, "The form has more than one part '%s'. Send one at a time.", fieldData)
		}
		return form.spool(c.Request.Context(), part, u.jobs.SpoolPart)
	})
	if err == nil && form.spooled == nil {
		err = missing(fieldData)
	}
	if err != nil {
		return nil, u.files.discard(c, form, err)
	}
	return form.spooled, nil
}

func (u *uploads) complete(c *gin.Context) error {
	return u.once(c, http.StatusOK, func(k key) ([]byte, error) {
		ref, err := u.uploadRef(c)
		if err != nil {
			return nil, err
		}
		body, err := u.readBody(c)
		if err != nil {
			return nil, err
		}
		end, err := bindUploadEnd(body)
		if err != nil {
			return nil, err
		}
		end.Ref, end.Idempotency = ref, k.over(body)
		return uploadObject(u.jobs.CompleteUpload(c.Request.Context(), end))
	})
}

func bindUploadEnd(body []byte) (end jobs.UploadEnd, err error) {
	root, err := parseBody(body)
	if err != nil {
		return end, err
	}
	f, err := readFields(root, "", "part_ids", "md5")
	if err != nil {
		return end, err
	}
	if end.MD5, err = f.text("md5"); err != nil {
		return end, err
	}
	ids := f.members["part_ids"]
	switch {
	case ids.Type == gjson.Null:
		return end, missing("part_ids")
	case !ids.IsArray():
		return end, typeError("part_ids", "an array of strings", ids)
	}
	ids.ForEach(func(_, id gjson.Result) bool {
		var text string
		if text, err = readText("part_ids", id); err == nil && text == "" {
			err = typeError("part_ids", "an array of part IDs", id)
		}
		end.PartIDs = append(end.PartIDs, text)
		return err == nil
	})
	return end, err
}

// cancel takes no body; clients send none, or anything.
func (u *uploads) cancel(c *gin.Context) error {
	ref, err := u.uploadRef(c)
	if err != nil {
		return err
	}
	object, err := uploadObject(u.jobs.CancelUpload(c.Request.Context(), ref))
	if err != nil {
		return err
	}
	return ok(c, object)
}

func (u *uploads) uploadRef(c *gin.Context) (jobs.Ref, error) {
	ref := u.ref(c)
	if !storable(ref.ID) {
		return ref, jobs.NotFound("No such Upload object.")
	}
	return ref, nil
}
