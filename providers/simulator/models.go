package simulator

import (
	"fmt"
	"net/http"
)

// modelsCreated is the time of birth that all models claim: 2024-01-01, UTC.
const modelsCreated = 1_704_067_200

type model int

const (
	simSmall model = iota
	simLarge
	simEmbed
)

func (m model) name() string {
	switch m {
	case simLarge:
		return "sim-large"
	case simEmbed:
		return "sim-embed"
	}
	return "sim-small"
}

func (m model) embeds() bool    { return m == simEmbed }
func (m model) generates() bool { return m != simEmbed }

func findModel(name string) (model, *problem) {
	for m := simSmall; m <= simEmbed; m++ {
		if m.name() == name {
			return m, nil
		}
	}
	return 0, noModel("The model `%s` does not exist. Use sim-small, sim-large or sim-embed.", name)
}

func unsuited(m model, path string) *problem {
	use := "sim-small or sim-large"
	if m.generates() {
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

func (s *Simulator) listModels(c *call) {
	if p := s.authorize(c.r); p != nil {
		c.refuse(p)
		return
	}
	c.out = append(c.out, `{"object":"list","data":[`...)
	for m := simSmall; m <= simEmbed; m++ {
		if m > simSmall {
			c.out = append(c.out, ',')
		}
		c.out = appendModel(c.out, m)
	}
	c.out = append(c.out, `]}`...)
	c.send(http.StatusOK)
}

func (s *Simulator) getModel(c *call) {
	if p := s.authorize(c.r); p != nil {
		c.refuse(p)
		return
	}
	m, p := findModel(c.r.PathValue("id"))
	if p != nil {
		c.refuse(p)
		return
	}
	c.out = appendModel(c.out, m)
	c.send(http.StatusOK)
}

func appendModel(dst []byte, m model) []byte {
	dst = append(append(dst, `{"id":"`...), m.name()...)
	dst = appendInt(dst, `","object":"model","created":`, modelsCreated)
	return append(dst, `,"owned_by":"ringback-simulator"}`...)
}
