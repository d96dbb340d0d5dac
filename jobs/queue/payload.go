package queue

import (
	"encoding/json"
	"fmt"
)

// taskType is every task's Asynq type: the lane says what it means.
const taskType = "wake"

// payloadVersion changes when an older process could misread a payload; it drops what it does not know, and the
// sweeper of a newer one comes again.
const payloadVersion = 1

type payload struct {
	V   int      `json:"v"`
	IDs []string `json:"ids"`
}

func encode(ids []string) []byte {
	b, err := json.Marshal(payload{V: payloadVersion, IDs: ids})
	if err != nil { // strings always marshal
		panic(err)
	}
	return b
}

func decode(b []byte) ([]string, error) {
	var p payload
	if err := json.Unmarshal(b, &p); err != nil {
		return nil, fmt.Errorf("not a wake-up: %w", err)
	}
	if p.V != payloadVersion {
		return nil, fmt.Errorf("wake-up of version %d, this process knows %d", p.V, payloadVersion)
	}
	if len(p.IDs) == 0 {
		return nil, fmt.Errorf("wake-up without IDs")
	}
	return p.IDs, nil
}
