package simulator

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/rawjson"
)

const (
	maxSuffix = 64
	maxSeed   = 1<<31 - 1
	maxEpochs = 50
	// usualEpochs is what n_epochs "auto" comes to.
	usualEpochs     = 3
	maxIntegrations = 5
)

// object reads the body as a JSON object with no other keys than these.
func (c *call) object(keys ...string) (root gjson.Result, p *problem) {
	if p := c.read(); p != nil {
		return root, p
	}
	if !rawjson.Valid(c.body) {
		return root, badRequest("", "", "We could not parse the JSON body of your request. Send a valid JSON object.")
	}
	if root = gjson.ParseBytes(c.body); !root.IsObject() {
		return root, badRequest("", "", "The body must be a JSON object.")
	}
	root.ForEach(func(key, _ gjson.Result) bool {
		if !slices.Contains(keys, key.Str) {
			p = badRequest(key.Str, "unknown_parameter", "Unknown parameter: '%s'.", key.Str)
		}
		return p == nil
	})
	return root, p
}

// text reads a string; absent and null are empty.
func text(root gjson.Result, name string, required bool) (string, *problem) {
	switch field := root.Get(name); {
	case field.Type == gjson.String && (field.Str != "" || !required):
		return field.Str, nil
	case field.Type == gjson.Null && !required:
		return "", nil
	case field.Type == gjson.Null, field.Type == gjson.String:
		return "", missing(name)
	}
	return "", wrongType(name, "a string")
}

func (s *Simulator) createTuning(a *account, c *call) *problem {
	root, p := c.object("model", "training_file", "validation_file", "suffix", "seed", "method",
		"hyperparameters", "integrations", "metadata")
	if p != nil {
		return p
	}
	t := tuning{ID: newID(tuningPrefix), Created: c.started, Took: s.opts.TuneTime}
	if t.Took <= 0 {
		t.Took = tuneTime
	}
	for _, read := range []func(gjson.Result) *problem{t.readNames, t.readSettings, t.readMethod} {
		if p := read(root); p != nil {
			return p
		}
	}
	reset, p := t.readFaults(root.Get("metadata.sim").Str)
	if p != nil {
		return p
	}
	if p := t.readFiles(a, c); p != nil {
		return p
	}
	t.Name = t.tunedName()
	_, again := a.tunings.find(func(old *tuning) bool { return old.Training == t.Training })
	if err := a.tunings.put(t.ID, t); err != nil {
		return storageFailed(err)
	}
	if reset && !again {
		s.log.DebugContext(c.ctx, "simulated fault", "fault", "hang_create")
		c.resetConnection()
		return nil
	}
	return c.reply(t.object(c.started))
}

func (t *tuning) readNames(root gjson.Result) (p *problem) {
	var base string
	for _, field := range []struct {
		name     string
		to       *string
		required bool
	}{
		{"model", &base, true},
		{"training_file", &t.Training, true},
		{"validation_file", &t.Validation, false},
		{"suffix", &t.Suffix, false},
	} {
		if *field.to, p = text(root, field.name, field.required); p != nil {
			return p
		}
	}
	if t.Model = model(base); !t.Model.untuned() {
		return badRequest("model", "model_not_available",
			"Model %s is not available for fine-tuning or does not exist. Use sim-small or sim-large.", base)
	}
	if len(t.Suffix) > maxSuffix {
		return badRequest("suffix", "string_above_max_length", "Invalid 'suffix': give %d bytes or fewer.", maxSuffix)
	}
	return nil
}

func (t *tuning) readSettings(root gjson.Result) *problem {
	if p := checkMetadata(root.Get("metadata")); p != nil {
		return p
	}
	seed, p := integer(root.Get("seed"), "seed", 0, maxSeed, int(hash(hashStart, t.ID)%maxSeed))
	if p != nil {
		return p
	}
	t.Seed = int64(seed)
	integrations := root.Get("integrations")
	switch {
	case integrations.Type == gjson.Null:
	case !integrations.IsArray():
		return wrongType("integrations", "an array")
	case len(integrations.Array()) > maxIntegrations:
		return badRequest("integrations", "array_above_max_length", "Invalid 'integrations': give %d or fewer.", maxIntegrations)
	}
	t.Integrations = rawOr(integrations, `[]`)
	t.Metadata = rawOr(root.Get("metadata"), `null`)
	return nil
}

func rawOr(field gjson.Result, fallback string) json.RawMessage {
	if field.Type == gjson.Null {
		return json.RawMessage(fallback)
	}
	return json.RawMessage(field.Raw)
}

// readMethod settles the method and the hyperparameters, which may stand in it
// or, as before there were methods, beside it.
func (t *tuning) readMethod(root gjson.Result) (p *problem) {
	hyper, name := root.Get("hyperparameters"), "hyperparameters"
	method := root.Get("method")
	if method.Type != gjson.Null {
		if !method.IsObject() {
			return wrongType("method", "an object")
		}
		kind := method.Get("type").Str
		if !slices.Contains([]string{"supervised", "dpo", "reinforcement"}, kind) {
			return badRequest("method.type", "invalid_value",
				"Invalid value for 'method.type'. Supported values are: 'supervised', 'dpo' and 'reinforcement'.")
		}
		if inner := method.Get(kind + ".hyperparameters"); inner.Type != gjson.Null {
			hyper, name = inner, "method."+kind+".hyperparameters"
		}
	}
	if hyper.Type != gjson.Null && !hyper.IsObject() {
		return wrongType(name, "an object")
	}
	if t.Epochs, p = epochs(hyper.Get("n_epochs"), name+".n_epochs"); p != nil {
		return p
	}
	t.Hyper = rawOr(hyper, `{"n_epochs":"auto","batch_size":"auto","learning_rate_multiplier":"auto"}`)
	t.Method = rawOr(method, fmt.Sprintf(`{"type":"supervised","supervised":{"hyperparameters":%s}}`, t.Hyper))
	return nil
}

func epochs(field gjson.Result, name string) (int, *problem) {
	if field.Str == "auto" {
		return usualEpochs, nil
	}
	return integer(field, name, 1, maxEpochs, usualEpochs)
}

// readFaults reads the words of the metadata's key sim: fail_at=N, hang_create=1.
func (t *tuning) readFaults(words string) (reset bool, p *problem) {
	for word := range strings.FieldsSeq(words) {
		why := "there is no " + word
		switch name, value, _ := strings.Cut(word, "="); {
		case name == "fail_at":
			why = number(value, 1, tuningSteps, &t.FailAt)
		case word == "hang_create=1":
			reset, why = true, ""
		}
		if why != "" {
			return false, badRequest("metadata.sim", "invalid_directive", "Cannot read the metadata's sim: %s.", why)
		}
	}
	return reset, nil
}

// readFiles learns from the files now, so that the job and its model outlive
// them.
func (t *tuning) readFiles(a *account, c *call) *problem {
	if p := a.trains(c, t.Training, "training_file"); p != nil {
		return p
	}
	read, fault, err := a.study(t.Training, "training_file")
	if err != nil {
		return storageFailed(err)
	}
	if fault == nil {
		fault = read.tooFew()
	}
	t.Tokens, t.Lessons = read.tokens, read.lessons.kept
	if t.Validation != "" {
		if p := a.trains(c, t.Validation, "validation_file"); p != nil {
			return p
		}
		_, bad, err := a.study(t.Validation, "validation_file")
		if err != nil {
			return storageFailed(err)
		}
		if fault == nil {
			fault = bad
		}
	}
	t.Fault = fault
	return nil
}

// trains checks that a file is here for fine-tuning.
func (a *account) trains(c *call, id, param string) *problem {
	f, found := a.file(id, c.started)
	switch {
	case !found:
		return badRequest(param, "file_not_found", "Invalid %s: there is no file %s. Upload it first.", param, id)
	case f.Purpose != "fine-tune":
		return badRequest(param, "invalid_file_purpose", "Invalid %s: %s has the purpose %s. Upload it with the purpose fine-tune.", param, id, f.Purpose)
	}
	return nil
}
