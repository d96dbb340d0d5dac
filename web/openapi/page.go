package openapi

import (
	"bytes"
	"compress/gzip"
	"embed"
	"io"
)

//go:embed page/index.html page/page.js page/rapidoc-9.3.8.js.gz
var pageFiles embed.FS

// Page is the HTML page that shows the document. It wants the document at openapi.yaml, and each of Scripts at docs/NAME,
// both beside itself.
func Page() []byte { return file("page/index.html") }

// PagePolicy is the Content-Security-Policy that the page works under. The viewer writes style elements and attributes.
const PagePolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Script is one of the page's scripts.
type Script struct {
	Name   string // in its URL
	Packed []byte // gzip
	Pinned bool   // its name says its version: it never changes
}

// Scripts are all of them.
func Scripts() []Script {
	return []Script{
		{Name: "page.js", Packed: pack(file("page/page.js"))},
		{Name: "rapidoc-9.3.8.js", Packed: file("page/rapidoc-9.3.8.js.gz"), Pinned: true},
	}
}

// Plain is the script unpacked.
func (s Script) Plain() ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(s.Packed))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func pack(text []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(text)
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic("openapi: cannot pack: " + err.Error()) // a buffer takes all
	}
	return b.Bytes()
}

// file is one that is embedded: it is there.
func file(name string) []byte {
	text, err := pageFiles.ReadFile(name)
	if err != nil {
		panic("openapi: " + err.Error())
	}
	return text
}
