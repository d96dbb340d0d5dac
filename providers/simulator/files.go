package simulator

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// A file is what was uploaded, or what a fine-tuning job or a batch wrote. Its
// bytes stand beside its record, under its ID.
type file struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Purpose  string    `json:"purpose"`
	Bytes    int64     `json:"bytes"`
	Created  time.Time `json:"created"`
	Lifetime int64     `json:"lifetime,omitempty"` // in seconds; 0 is without end
}

const filePrefix = "file-"

func (f file) expires() time.Time {
	if f.Lifetime == 0 {
		return time.Time{}
	}
	return f.Created.Add(time.Duration(f.Lifetime) * time.Second)
}

func (f file) expired(now time.Time) bool {
	end := f.expires()
	return !end.IsZero() && !now.Before(end)
}

// A fileObject is a file as the API shows it.
type fileObject struct {
	ID            string  `json:"id"`
	Object        string  `json:"object"`
	Bytes         int64   `json:"bytes"`
	CreatedAt     int64   `json:"created_at"`
	ExpiresAt     *int64  `json:"expires_at"`
	Filename      string  `json:"filename"`
	Purpose       string  `json:"purpose"`
	Status        string  `json:"status"`
	StatusDetails *string `json:"status_details"`
}

func (f file) object() fileObject {
	return fileObject{
		ID: f.ID, Object: "file", Bytes: f.Bytes, CreatedAt: f.Created.Unix(), ExpiresAt: unixOrNil(f.expires()),
		Filename: f.Name, Purpose: f.Purpose, Status: "processed",
	}
}

// file gives a file that is there and has not expired.
func (a *account) file(id string, now time.Time) (file, bool) {
	f, found := a.files.get(id)
	return f, found && !f.expired(now)
}

func (a *account) contentPath(id string) (string, error) {
	dir, err := a.files.place()
	return filepath.Join(dir, id+".bin"), err
}

func (a *account) content(id string) (*os.File, error) {
	path, err := a.contentPath(id)
	if err != nil {
		return nil, err
	}
	return os.Open(path)
}

const spoolPrefix = "spool-"

// A spool is a file's bytes on their way, in the folder where they will stay.
type spool struct{ *os.File }

func (a *account) spool() (spool, error) {
	dir, err := a.files.place()
	if err != nil {
		return spool{}, err
	}
	f, err := os.CreateTemp(dir, spoolPrefix)
	return spool{f}, err
}

// dropSpools removes what a simulator that was killed had on the way.
func (a *account) dropSpools() error {
	dir, err := a.files.place()
	if err != nil {
		return err
	}
	left, err := filepath.Glob(filepath.Join(dir, spoolPrefix+"*"))
	for _, name := range left {
		err = errors.Join(err, os.Remove(name))
	}
	return err
}

// discard drops a spool that was not kept; after keepFile it does nothing.
func (s spool) discard() {
	_ = s.Close()
	_ = os.Remove(s.Name())
}

// keepFile makes a spool the content of f, which it gives back with its length.
// A file with the same ID is replaced.
func (a *account) keepFile(s spool, f file) (file, error) {
	var err error
	if f.Bytes, err = s.Seek(0, io.SeekEnd); err != nil {
		return f, err
	}
	path, err := a.contentPath(f.ID)
	if err != nil {
		return f, err
	}
	if err := errors.Join(s.Close(), os.Rename(s.Name(), path)); err != nil {
		return f, err
	}
	return f, a.files.put(f.ID, f)
}

func noFile(id string) *problem {
	return &problem{
		status: http.StatusNotFound, typ: invalidRequest, param: "id", message: "No such File object: " + id,
	}
}

const maxFilesPage = 10_000

func listFiles(a *account, c *call) *problem {
	query := c.r.URL.Query()
	purpose, order := query.Get("purpose"), query.Get("order")
	var list []fileObject
	for _, f := range a.files.all() {
		if !f.expired(c.started) && (purpose == "" || f.Purpose == purpose) {
			list = append(list, f.object())
		}
	}
	switch order {
	case "", "desc":
	case "asc":
		slices.Reverse(list)
	default:
		return badRequest("order", "invalid_value", "Invalid 'order'. Supported values are: 'asc' and 'desc'.")
	}
	return replyPage(c, list, func(f fileObject) string { return f.ID }, maxFilesPage, maxFilesPage)
}

func getFile(a *account, c *call) *problem {
	f, found := a.file(c.r.PathValue("id"), c.started)
	if !found {
		return noFile(c.r.PathValue("id"))
	}
	return c.reply(f.object())
}

func deleteFile(a *account, c *call) *problem {
	id := c.r.PathValue("id")
	if _, found := a.file(id, c.started); !found {
		return noFile(id)
	}
	found, err := a.files.remove(id)
	if err != nil {
		return storageFailed(err)
	}
	if !found {
		return noFile(id)
	}
	if path, err := a.contentPath(id); err == nil {
		_ = os.Remove(path) // the record is gone: what stays of the bytes is nobody's
	}
	return c.reply(deleted{ID: id, Object: "file", Deleted: true})
}

// fileContent streams a file's bytes as they came.
func fileContent(a *account, c *call) *problem {
	f, found := a.file(c.r.PathValue("id"), c.started)
	if !found {
		return noFile(c.r.PathValue("id"))
	}
	content, err := a.content(f.ID)
	if errors.Is(err, os.ErrNotExist) {
		return noFile(f.ID) // deleted meanwhile
	}
	if err != nil {
		return storageFailed(err)
	}
	defer func() { _ = content.Close() }()
	c.headers("application/octet-stream")
	c.w.Header()["Content-Length"] = []string{strconv.FormatInt(f.Bytes, 10)}
	c.w.WriteHeader(http.StatusOK)
	if _, err := io.Copy(c.w, content); err != nil {
		abort()
	}
	return nil
}
