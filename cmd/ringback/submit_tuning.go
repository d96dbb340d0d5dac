package main

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/tidwall/gjson"
)

const submitTuningHelp = `Upload a file of examples and train a model on it. Each line of FILE is one
example, for most models a conversation:

  {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]}

The callback brings the new model's name, and the model answers like any other.
FILE and --validation may also be IDs of files that the server has.`

const submitTuningExample = `  ringback submit fine-tune examples.jsonl --model sim-small --suffix mine --watch
  ringback submit fine-tune examples.jsonl --model sim-small --validation held-back.jsonl --epochs 3 --webhook https://example.com/hook`

// tuningSubmission is one `submit fine-tune`.
type tuningSubmission struct {
	submission
	model        string
	validation   string
	suffix       string
	epochs       string
	batchSize    string
	learningRate string
	params       []string
}

func newSubmitTuningCommand() *cobra.Command {
	s := &tuningSubmission{}
	cmd := clientCommand(&cobra.Command{
		Use:     "fine-tune FILE --model MODEL",
		Short:   "Upload examples (JSON lines) and train a model on them",
		Long:    submitTuningHelp + exitHelp(exitEnded, exitAway),
		Example: submitTuningExample,
		Args:    cobra.ExactArgs(1),
	}, s.run)
	s.addFlags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&s.model, "model", "", "`MODEL` to begin with, as sim-small")
	flags.StringVar(&s.validation, "validation", "", "`FILE` of examples that are only measured against")
	flags.StringVar(&s.suffix, "suffix", "", "`TEXT` in the new model's name")
	flags.StringVar(&s.epochs, "epochs", "", "`N` times over the examples, or auto")
	flags.StringVar(&s.batchSize, "batch-size", "", "`N` examples a step, or auto")
	flags.StringVar(&s.learningRate, "learning-rate", "", "`FACTOR` of the learning rate, or auto")
	addParams(cmd, &s.params)
	completeFlag(cmd, "model", models)
	return cmd
}

func (s *tuningSubmission) run(ctx context.Context, on *session) error {
	body, err := s.body()
	if err != nil {
		return err
	}
	if err := s.uploads(ctx, on, body); err != nil {
		return err
	}
	var created raw
	if err := on.client.create(ctx, "/v1/fine_tuning/jobs", body, &created); err != nil {
		return err
	}
	if err := s.accepted(ctx, on, on.print.out, created, s.model); err != nil || !s.watch {
		return err
	}
	object, err := on.client.Object(ctx, "/v1/fine_tuning/jobs/"+gjson.GetBytes(created.text, "id").String())
	if err != nil {
		return err
	}
	return on.print.object(object, on.told("model      %s", "fine_tuned_model"))
}

// uploads sends the files and puts their IDs into the body.
func (s *tuningSubmission) uploads(ctx context.Context, on *session, body map[string]any) error {
	for _, file := range []struct{ key, name string }{{"training_file", on.args[0]}, {"validation_file", s.validation}} {
		if file.name == "" {
			continue
		}
		upload, err := openUpload(file.name)
		if err != nil {
			return err
		}
		if body[file.key], err = upload.send(ctx, on, "fine-tune"); err != nil {
			return err
		}
	}
	return nil
}

func (s *tuningSubmission) body() (map[string]any, error) {
	if s.model == "" {
		return nil, usagef("name the model to begin with: --model, as in --model sim-small")
	}
	shared, err := s.submission.body()
	if err != nil {
		return nil, err
	}
	own := map[string]any{"model": s.model}
	if s.suffix != "" {
		own["suffix"] = s.suffix
	}
	parameters, err := s.hyperparameters()
	if len(parameters) > 0 {
		own["hyperparameters"] = parameters
	}
	if err != nil {
		return nil, err
	}
	return bodyOf(shared, s.params, own)
}

// hyperparameters are those that a flag names: numbers, or auto.
func (s *tuningSubmission) hyperparameters() (map[string]any, error) {
	values := map[string]any{}
	for _, p := range []struct{ flag, key, text string }{
		{"epochs", "n_epochs", s.epochs},
		{"batch-size", "batch_size", s.batchSize},
		{"learning-rate", "learning_rate_multiplier", s.learningRate},
	} {
		number, err := strconv.ParseFloat(p.text, 64)
		switch {
		case p.text == "":
		case p.text == "auto":
			values[p.key] = p.text
		case err != nil || number <= 0:
			return nil, usagef("--%s %q is neither a number above 0 nor auto", p.flag, p.text)
		default:
			values[p.key] = number
		}
	}
	return values, nil
}
