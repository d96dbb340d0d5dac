package pages

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"mime"
	"net/http"
	"path"
	"strconv"

	"github.com/ringback/ringback/jobs"
)

//go:embed assets
var assetFiles embed.FS

// assets are the files that pages refer to, by name. A page names each with a sum of its content, so that a browser keeps it for
// ever and never has an old one.
type assets struct{ byName map[string]asset }

type asset struct {
	content []byte
	kind    string
	sum     string
}

func readAssets() *assets {
	files, err := assetFiles.ReadDir("assets")
	if err != nil {
		panic(err) // it is embedded
	}
	a := &assets{byName: map[string]asset{}}
	for _, f := range files {
		content, err := assetFiles.ReadFile("assets/" + f.Name())
		if err != nil {
			panic(err)
		}
		sum := sha256.Sum256(content)
		a.byName[f.Name()] = asset{content, kindOf(f.Name()), hex.EncodeToString(sum[:6])}
	}
	return a
}

func kindOf(name string) string {
	switch path.Ext(name) {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	if kind := mime.TypeByExtension(path.Ext(name)); kind != "" {
		return kind
	}
	return "text/plain; charset=utf-8"
}

// url is where an asset stands.
func (a *assets) url(name string) string {
	f, ok := a.byName[name]
	if !ok {
		panic("pages: no asset " + name)
	}
	return "/assets/" + name + "?v=" + f.sum
}

func (p *Pages) asset(w http.ResponseWriter, r *http.Request) error {
	f, ok := p.assets.byName[r.PathValue("name")]
	if !ok {
		return jobs.NotFound("There is no such file.")
	}
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Content-Length", strconv.Itoa(len(f.content)))
	h.Set("Content-Security-Policy", "default-src 'none'")
	if r.URL.Query().Get("v") == f.sum {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if r.Method != http.MethodHead {
		_, _ = w.Write(f.content)
	}
	return nil
}
