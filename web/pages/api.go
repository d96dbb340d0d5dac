package pages

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strings"

	"github.com/tidwall/gjson"
)

// call asks the API for what a form wants, as the client's own request would, and with its authority. A refusal is an apiError.
func (p *Pages) call(r *http.Request, method, path string, body any) ([]byte, error) {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	out, err := p.request(r, method, path, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	if len(text) > 0 {
		out.Header.Set("Content-Type", "application/json")
	}
	if key := once(r, path, text); key != "" {
		out.Header.Set("Idempotency-Key", key)
	}
	return p.ask(out)
}

// once is the Idempotency-Key of what a form asks for: that of the form, and of what was filled in, so that who presses twice
// makes one, and who goes back and fills in something else another. Empty for a form without one.
func once(r *http.Request, path string, body []byte) string {
	key := r.PostForm.Get("key")
	if key == "" || len(key) > 100 {
		return ""
	}
	sum := sha256.Sum256(append([]byte(path+"\n"), body...))
	return key + "-" + hex.EncodeToString(sum[:8])
}

// stream does the same with a body that comes as it is read.
func (p *Pages) stream(r *http.Request, method, path, kind string, body io.Reader) ([]byte, error) {
	out, err := p.request(r, method, path, body)
	if err != nil {
		return nil, err
	}
	out.Header.Set("Content-Type", kind)
	return p.ask(out)
}

// request is one that the client of r could make.
func (p *Pages) request(r *http.Request, method, path string, body io.Reader) (*http.Request, error) {
	out, err := http.NewRequestWithContext(r.Context(), method, path, body)
	if err != nil {
		return nil, err
	}
	if out.Body == nil {
		out.Body = http.NoBody
	}
	out.Host, out.RemoteAddr, out.RequestURI = r.Host, r.RemoteAddr, path
	for _, name := range []string{"Cookie", "Authorization", "Origin", "Sec-Fetch-Site", "Traceparent", "Tracestate"} {
		if values, ok := r.Header[name]; ok {
			out.Header[name] = values
		}
	}
	return out, nil
}

func (p *Pages) ask(out *http.Request) ([]byte, error) {
	a := &answer{header: http.Header{}, status: http.StatusOK}
	p.API.ServeHTTP(a, out)
	if a.status >= http.StatusMultipleChoices {
		e := gjson.GetBytes(a.body.Bytes(), "error")
		return nil, &apiError{Status: a.status, Message: orElse(e.Get("message").String(), http.StatusText(a.status)), Param: e.Get("param").String()}
	}
	return a.body.Bytes(), nil
}

// apiError is a refusal in the API's words.
type apiError struct {
	Status  int
	Message string
	Param   string // the field that it is about; empty for none
}

func (e *apiError) Error() string { return e.Message }

// answer keeps what the API writes.
type answer struct {
	header http.Header
	status int
	begun  bool
	body   bytes.Buffer
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if !a.begun {
		a.status, a.begun = status, true
	}
}

func (a *answer) Write(b []byte) (int, error) {
	a.begun = true
	return a.body.Write(b)
}

// refusal is what the API refused of a form; what is no fault of the form is none.
func refusal(err error) (*apiError, bool) {
	e, ok := err.(*apiError) //nolint:errorlint // it is never wrapped
	return e, ok && e.Status/100 == 4
}

// field is the form's field that a refusal is about.
func (e *apiError) field() string {
	name, _, _ := strings.Cut(e.Param, ".")
	name, _, _ = strings.Cut(name, "[")
	return name
}

// FailureOf tells a refusal of the API, which a page shows as it is.
func FailureOf(err error) (status int, message string, ok bool) {
	e, ok := err.(*apiError) //nolint:errorlint // it is never wrapped
	if !ok {
		return 0, "", false
	}
	return e.Status, e.Message, true
}

// back is where a form says that the browser came from; only pages of ours.
func back(r *http.Request, otherwise string) string {
	if to := r.PostFormValue("back"); within(to) == to {
		return to
	}
	return otherwise
}
