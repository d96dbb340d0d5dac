package e2e

import (
	"fmt"
	"net/http"
	"strconv"
	"sync"

	"github.com/ringback/ringback/web/openapi/contract"
)

// document is the API's document, read once for all tests.
var document = sync.OnceValues(contract.Load)

// mostChecked is how many answers of one kind, or callbacks of one type, are held to the document for one client or
// receiver: some tests get tens of thousands.
const mostChecked = 20

// tally counts what was held to the document.
type tally struct {
	mu   sync.Mutex
	seen map[string]int
}

func (t *tally) enough(kind string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.seen == nil {
		t.seen = map[string]int{}
	}
	t.seen[kind]++
	return t.seen[kind] > mostChecked
}

// checkAnswer tells what is not as the document says.
func (t *tally) checkAnswer(r *http.Request, a answer) error {
	if t == nil {
		return nil
	}
	path := r.URL.Path
	if len(path) > 12 {
		path = path[:12] // the resource
	}
	if t.enough(r.Method + path + strconv.Itoa(a.status)) {
		return nil
	}
	c, err := document()
	if err == nil {
		err = c.Answer(r, a.status, a.header, a.body)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %d is not as the document says: %w\n%.2000s", r.Method, r.URL, a.status, err, a.body)
	}
	return nil
}

// checkCallback does the same for what a receiver got. Headers are left to tests that know the settings.
func (t *tally) checkCallback(got callback) error {
	typ := got.get("type").String()
	if typ == "" || t.enough(typ) {
		return nil
	}
	c, err := document()
	if err == nil {
		err = c.Event(typ, got.body)
	}
	if err != nil {
		return fmt.Errorf("a callback is not as the document says: %w\n%.2000s", err, got.body)
	}
	return nil
}
