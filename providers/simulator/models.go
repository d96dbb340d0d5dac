package simulator

import (
	"fmt"
	"net/http"
	"strings"
)

// modelsCreated is the time of birth that the simulator's own models claim:
// 2024-01-01, UTC.
const modelsCreated = 1_704_067_200

// A model is known by its name: one of three, or that of a tuned one.
type model string

const (
	simSmall model = "sim-small"
	simLarge model = "sim-large"
	simEmbed model = "sim-embed"
)

const (
	tunedPrefix    = "ft:"
	embeddingsPath = "/v1/embeddings"
)

func (m model) name() string { return string(m) }

// base is the model that a tuned one was made from, else the model itself.
func (m model) base() model {
	if rest, tuned := strings.CutPrefix(m.name(), tunedPrefix); tuned {
		from, _, _ := strings.Cut(rest, ":")
		return model(from)
	}
	return m
}

func (m model) embeds() bool    { return m == simEmbed }
func (m model) generates() bool { return m != simEmbed }

// untuned says that a model does what tuning does not teach: images, sounds and
// verdicts come from the two models that can be tuned, not from tuned ones.
func (m model) untuned() bool { return m == simSmall || m == simLarge }

// findModel knows a model by its name, and what it has learnt if it is tuned.
func (s *Simulator) findModel(name string) (model, lessons, *problem) {
	if m := model(name); m.untuned() || m == simEmbed {
		return m, nil, nil
	}
	if strings.HasPrefix(name, tunedPrefix) {
		return s.findTuned(name)
	}
	return "", nil, unknownModel(name)
}

func unknownModel(name string) *problem {
	return noModel("The model `%s` does not exist. Use sim-small, sim-large or sim-embed.", name)
}

func unsuited(m model, path string) *problem {
	use := "sim-small or sim-large"
	if path == embeddingsPath {
		use = "sim-embed"
	}
	return noModel("The model `%s` does not serve %s. Use %s.", m.name(), path, use)
}

func noModel(format string, args ...any) *problem {
	return &problem{
		status: http.StatusNotFound, typ: invalidRequest, param: "model", code: "model_not_found",
		message: fmt.Sprintf(format, args...),
	}
}

// A modelObject is a model as GET /v1/models shows it.
type modelObject struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`
}

func ownModel(m model) modelObject {
	return modelObject{m.name(), "model", modelsCreated, "ringback-simulator"}
}

func listModels(a *account, c *call) *problem {
	all := []modelObject{ownModel(simSmall), ownModel(simLarge), ownModel(simEmbed)}
	for _, t := range a.tunings.all() {
		if !t.ModelDeleted && t.status(c.started) == tuningSucceeded {
			all = append(all, t.modelObject(t.Name))
		}
	}
	return c.reply(map[string]any{"object": "list", "data": all})
}

func getModel(a *account, c *call) *problem {
	id := c.r.PathValue("id")
	if m := model(id); m.untuned() || m == simEmbed {
		return c.reply(ownModel(m))
	}
	t, found := a.tuned(id, c.started)
	if !found {
		return unknownModel(id)
	}
	return c.reply(t.modelObject(id))
}

// deleteModel removes a tuned model for good. The simulator's own stay.
func deleteModel(a *account, c *call) *problem {
	id := c.r.PathValue("id")
	if m := model(id); m.untuned() || m == simEmbed {
		return badRequest("model", "invalid_value", "The model `%s` is the simulator's own: only tuned models can be deleted.", id)
	}
	t, found := a.tuned(id, c.started)
	if !found {
		return unknownModel(id)
	}
	_, p := a.tunings.change(t.ID, func(t *tuning) *problem {
		if t.ModelDeleted || id != t.Name { // its checkpoints go with the model
			return unknownModel(id)
		}
		t.ModelDeleted = true
		return nil
	})
	if p != nil {
		return p
	}
	return c.reply(deleted{ID: id, Object: "model", Deleted: true})
}
