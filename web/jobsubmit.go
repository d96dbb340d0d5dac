package web

import (
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/jobs"
)

// ownRoutes are where jobs of the other kinds are submitted: they have OpenAI's routes.
var ownRoutes = map[jobs.Kind]string{
	jobs.KindBatch: "POST /v1/batches", jobs.KindTuning: "POST /v1/fine_tuning/jobs", jobs.KindResponse: "POST /v1/responses",
}

// create takes a generation for any path of its provider: one call, or a job of the provider's own.
func (j *jobRoutes) create(c *gin.Context) error {
	return j.submit(c, http.StatusAccepted, func(body []byte, idem *jobs.Idempotency) ([]byte, error) {
		n, err := j.bind(c, body)
		if err != nil {
			return nil, err
		}
		n.Idempotency, n.AsJob = idem, true
		snapshot, err := j.jobs.CreateGeneration(c.Request.Context(), n)
		if err != nil {
			return nil, err
		}
		return snapshot.Wrapped(), nil
	})
}

func (j *jobRoutes) bind(c *gin.Context, body []byte) (n jobs.NewGeneration, err error) {
	root, err := parseBody(body)
	if err != nil {
		return n, err
	}
	f, err := readFields(root, "", submissionKeys("kind", "path", "model", "body")...)
	if err != nil {
		return n, err
	}
	if err = checkKind(f); err != nil {
		return n, err
	}
	if n.Path, err = readCallPath(f); err != nil {
		return n, err
	}
	if n.Body, n.Model, err = readCall(f); err != nil {
		return n, err
	}
	n.Submission, err = j.readSubmission(c, j.webhooks, f.members)
	return n, err
}

func checkKind(f fields) error {
	text, err := f.text("kind")
	if err != nil || text == string(jobs.KindGeneration) {
		return err
	}
	if text == "" {
		return missing("kind")
	}
	if route, known := ownRoutes[jobs.Kind(text)]; known {
		return jobs.Errorf(jobs.CodeValue, "kind", "A job of kind '%s' is submitted with %s. Here the kind is 'generation'.", text, route)
	}
	return jobs.Errorf(jobs.CodeValue, "kind", "Invalid value: '%s'. Supported values are: 'generation'.", clip(text))
}

var callPath = regexp.MustCompile(`^/v1(/[A-Za-z0-9_][A-Za-z0-9._:-]*){1,8}$`)

// readCallPath reads a path of the provider's. Which ones it has, it says itself.
func readCallPath(f fields) (string, error) {
	text, err := f.text("path")
	switch {
	case err != nil:
		return "", err
	case text == "":
		return "", missing("path")
	case len(text) > 256 || !callPath.MatchString(text):
		return "", jobs.Errorf(jobs.CodeValue, "path", "Invalid value for 'path': expected a path of the provider's like '/v1/chat/completions'.")
	case isManaged(text):
		return "", jobs.Errorf(jobs.CodeValue, "path", "Invalid value for 'path': '%s' manages what the operator has at the provider. A generation calls a model.", text)
	}
	return text, nil
}

// managed are the parts of a provider's API that change what the operator has there. Clients call models with the
// operator's key, and do nothing else with it.
var managed = []string{
	"admin", "assistants", "batches", "certificates", "containers", "conversations", "evals", "files", "fine_tuning", "keys",
	"models", "organization", "organizations", "projects", "threads", "uploads", "users", "vector_stores", "webhook_endpoints",
}

func isManaged(path string) bool {
	parts := strings.Split(strings.TrimPrefix(path, "/v1/"), "/")
	return slices.Contains(managed, parts[0]) || parts[0] == "responses" && len(parts) > 1 || parts[len(parts)-1] == "cancel"
}

// readCall takes the body byte for byte. Its model decides on the provider; where it has none, the submission's does.
func readCall(f fields) (body []byte, model string, err error) {
	v := f.members["body"]
	if v.Type == gjson.Null {
		return nil, "", missing("body")
	}
	if !v.IsObject() {
		return nil, "", typeError("body", "an object", v)
	}
	if err := checkCall(v); err != nil {
		return nil, "", err
	}
	if model, err = readText("body.model", v.Get("model")); err != nil {
		return nil, "", err
	}
	named, err := f.text("model")
	if err != nil {
		return nil, "", err
	}
	if model != "" && named != "" && model != named {
		return nil, "", jobs.Errorf(jobs.CodeValue, "model", "'model' and 'body.model' differ. Leave 'model' out: it is for bodies that name none.")
	}
	if model == "" {
		model = named
	}
	return []byte(v.Raw), model, nil
}

// checkCall refuses a body that says twice what Ringback reads: which of two values counts would be a guess.
func checkCall(body gjson.Result) (err error) {
	seen := map[string]bool{}
	body.ForEach(func(key, value gjson.Result) bool {
		switch name := key.String(); {
		case seen[name] && slices.Contains([]string{"model", "stream", "file", "image"}, name):
			err = repeated("body." + name)
		case name == "stream":
			err = checkStream(value)
		}
		seen[key.String()] = true
		return err == nil
	})
	return err
}
