package simulator

import (
	"fmt"
	"io"
	"math"
)

// metrics are a step's, as events and checkpoints show them. The validation's
// are left out without a validation file.
type metrics struct {
	Step              int      `json:"step"`
	TrainLoss         float64  `json:"train_loss"`
	TrainAccuracy     float64  `json:"train_mean_token_accuracy"`
	ValidLoss         *float64 `json:"valid_loss,omitempty"`
	ValidAccuracy     *float64 `json:"valid_mean_token_accuracy,omitempty"`
	FullValidLoss     *float64 `json:"full_valid_loss,omitempty"`
	FullValidAccuracy *float64 `json:"full_valid_mean_token_accuracy,omitempty"`
	TotalSteps        *int     `json:"total_steps,omitempty"`
}

// metricsAt follows a curve of the usual kind: the loss falls fast and then
// slowly, with a noise that fades; the accuracy mirrors it; validation is worse.
func (t *tuning) metricsAt(step int) metrics {
	seed := hash(hashStart, t.ID) + uint64(t.Seed)
	noise := func(kind uint64) float64 { // -1 to 1
		return float64(int64(mix(seed+uint64(step)<<8+kind))) / (1 << 63)
	}
	progress := float64(step) / tuningSteps
	fade := math.Exp(-3 * progress)
	loss := 0.32 + 1.4*fade + 0.06*(0.3+fade)*noise(1)
	m := metrics{Step: step, TrainLoss: rounded(loss), TrainAccuracy: rounded(accuracy(loss, noise(2)))}
	if t.Validation != "" {
		loss += 0.04 + 0.05*progress + 0.02*noise(3)
		valid, acc := rounded(loss), rounded(accuracy(loss, noise(4)))
		m.ValidLoss, m.ValidAccuracy = &valid, &acc
	}
	return m
}

func accuracy(loss, noise float64) float64 { return math.Exp(-0.45*loss) + 0.005*noise }

func rounded(x float64) float64 { return math.Round(x*1e4) / 1e4 }

// writeResults writes the result file: a line for each step.
func (t *tuning) writeResults(w io.Writer) error {
	_, err := io.WriteString(w, "step,train_loss,train_mean_token_accuracy,valid_loss,valid_mean_token_accuracy\n")
	for step := 1; step <= tuningSteps && err == nil; step++ {
		m := t.metricsAt(step)
		valid := ","
		if m.ValidLoss != nil {
			valid = fmt.Sprintf("%.4f,%.4f", *m.ValidLoss, *m.ValidAccuracy)
		}
		_, err = fmt.Fprintf(w, "%d,%.4f,%.4f,%s\n", step, m.TrainLoss, m.TrainAccuracy, valid)
	}
	return err
}
