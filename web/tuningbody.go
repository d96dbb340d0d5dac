package web

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/gin-gonic/gin"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/jobs"
	"github.com/ringback/ringback/rawjson"
)

// tuningKeys are what Ringback reads of a fine-tuning. All else goes to the provider as it came, and so do these, but for
// the keys that are Ringback's own.
var tuningKeys = submissionKeys("model", "training_file", "validation_file", "suffix", "seed", "method", "hyperparameters", "integrations")

// keptBack are the keys that a provider does not see. The metadata is its own too.
var keptBack = []string{"webhook", "webhook_ids", "run_at", "priority"}

// The limits of a fine-tuning's fields (OpenAI's).
const (
	mostSuffix       = 64 // characters
	mostIntegrations = 5
)

func (t *tunings) bind(c *gin.Context, body []byte) (n jobs.NewTuning, err error) {
	root, err := parseBody(body)
	if err != nil {
		return n, err
	}
	f, err := someFields(root, "", tuningKeys...)
	if err != nil {
		return n, err
	}
	for _, field := range []struct {
		key  string
		text *string
	}{{"model", &n.Model}, {"training_file", &n.TrainingFileID}, {"validation_file", &n.ValidationFileID}, {"suffix", &n.Suffix}} {
		if *field.text, err = f.text(field.key); err != nil {
			return n, err
		}
	}
	if err = f.readTuning(&n); err != nil {
		return n, err
	}
	n.Body = rawjson.Edit(body, root, func(key string, _ gjson.Result) (string, bool) {
		return "", !slices.Contains(keptBack, key)
	})
	n.Submission, err = t.readSubmission(c, t.webhooks, f.members)
	return n, err
}

// readTuning reads what is no plain text. Required fields are the service's concern.
func (f fields) readTuning(n *jobs.NewTuning) (err error) {
	if err = checkSuffix(f.members["suffix"]); err != nil {
		return err
	}
	if f.given("seed") {
		if n.Seed, err = readInteger("seed", f.members["seed"], 0, math.MaxInt32); err != nil {
			return err
		}
	}
	if err = checkMethod(f.members["method"]); err != nil {
		return err
	}
	if err = checkHyperparameters("hyperparameters", f.members["hyperparameters"]); err != nil {
		return err
	}
	if err = checkIntegrations(f.members["integrations"]); err != nil {
		return err
	}
	n.Method, n.Hyperparameters, n.Integrations = f.raw("method"), f.raw("hyperparameters"), f.raw("integrations")
	return nil
}

// raw is a member's bytes; nil for an absent one.
func (f fields) raw(key string) json.RawMessage {
	if !f.given(key) {
		return nil
	}
	return json.RawMessage(f.members[key].Raw)
}

// someFields takes the members that are known here and leaves the others to the provider. A known one that is repeated is
// an error: which of two values counts would be a guess.
func someFields(v gjson.Result, path string, known ...string) (fields, error) {
	f := fields{path: path, members: map[string]gjson.Result{}}
	var err error
	v.ForEach(func(key, value gjson.Result) bool {
		name := key.String()
		if !slices.Contains(known, name) {
			return true
		}
		if _, twice := f.members[name]; twice {
			err = repeated(path + name)
		}
		f.members[name] = value
		return err == nil
	})
	return f, err
}

// objectFields is someFields of what must be an object; no fields for an absent one.
func objectFields(name string, v gjson.Result, known ...string) (fields, error) {
	if v.Type == gjson.Null {
		return fields{path: name + "."}, nil
	}
	if !v.IsObject() {
		return fields{}, typeError(name, "an object", v)
	}
	return someFields(v, name+".", known...)
}

func checkSuffix(v gjson.Result) error {
	if v.Type == gjson.Null {
		return nil
	}
	switch n := utf8.RuneCountInString(v.Str); {
	case n == 0:
		return jobs.Errorf(codeTooShort, "suffix", "Invalid 'suffix': empty string. Expected a string with minimum length 1, but got an empty string instead.")
	case n > mostSuffix:
		return jobs.Errorf(codeTooLong, "suffix", "Invalid 'suffix': string too long. Expected a string with maximum length %d, but got a string with length %d instead.", mostSuffix, n)
	}
	return nil
}

func checkIntegrations(v gjson.Result) error {
	const name = "integrations"
	if v.Type == gjson.Null {
		return nil
	}
	if !v.IsArray() {
		return typeError(name, "an array", v)
	}
	all := v.Array()
	if len(all) > mostIntegrations {
		return jobs.Errorf(codeLongArray, name, "Invalid '%s': array too long. Expected an array with maximum length %d, but got an array with length %d instead.", name, mostIntegrations, len(all))
	}
	for i, entry := range all {
		if err := checkIntegration(fmt.Sprintf("%s[%d]", name, i), entry); err != nil {
			return err
		}
	}
	return nil
}

func checkIntegration(name string, v gjson.Result) error {
	if !v.IsObject() {
		return typeError(name, "an object", v)
	}
	f, err := someFields(v, name+".", "type", "wandb")
	if err != nil {
		return err
	}
	switch kind, err := f.text("type"); {
	case err != nil:
		return err
	case kind == "":
		return missing(name + ".type")
	case kind != "wandb":
		return unsupported(name+".type", kind, []string{"wandb"})
	case !f.given("wandb"):
		return missing(name + ".wandb")
	}
	own, err := objectFields(name+".wandb", f.members["wandb"], "project")
	if err != nil {
		return err
	}
	switch project, err := own.text("project"); {
	case err != nil:
		return err
	case project == "":
		return missing(name + ".wandb.project")
	}
	return nil
}
