package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/spf13/cobra"
)

// level is how bad a finding is.
type level string

const (
	fine level = "ok"
	warn level = "warn" // it works, and something should be known
	fail level = "fail" // serve would not start, or would not do its work
)

// finding is one thing that the doctor has looked at, and what to do about it.
type finding struct {
	Check string `json:"check"`
	Level level  `json:"level"`
	Text  string `json:"text"`
	Do    string `json:"do,omitempty"`
}

// patient is what the checks look at.
type patient struct {
	cfg Config
	now func() time.Time
}

// checkup is one check: it looks at one thing, changes nothing that lasts, and says all that it finds.
type checkup func(ctx context.Context, p *patient) []finding

// checkMost bounds each check.
const checkMost = 15 * time.Second

func newDoctorCommand() *cobra.Command {
	var source configSource
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check everything that serve needs, and say what to do",
		Example: `  ringback doctor
  ringback doctor --config fleet.yaml --json | jq 'select(.level == "fail")'`,
		Long: `Check everything that serve needs, and say what to do: the configuration, the database,
the queue, the file store, the clock, the providers, and the rules for callbacks.

It may run beside a server. It writes one small file into the file store and removes it
again; it calls no model. The exit code is 1 where something must be mended.`,
		Args: cobra.NoArgs,
	}
	source.addFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a finding and line")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		print := printFinding
		if asJSON {
			print = printFindingJSON
		}
		return doctor(cmd.Context(), source, func(f finding) error { return print(cmd.OutOrStdout(), f) })
	}
	return cmd
}

func doctor(ctx context.Context, source configSource, tell func(finding) error) error {
	cfg, warnings, err := source.load()
	findings := aboutConfiguration(warnings, err)
	if err == nil {
		findings = append(findings, examine(ctx, &patient{cfg: cfg, now: time.Now})...)
	}
	sick := false
	for _, f := range findings {
		sick = sick || f.Level == fail
		if err := tell(f); err != nil {
			return err
		}
	}
	if sick {
		return silentFailure{}
	}
	return nil
}

// examine runs all checks side by side, and gives their findings in the checks' order.
func examine(ctx context.Context, p *patient) (findings []finding) {
	checks := []checkup{checkDatabase, checkQueue, checkFiles, checkProviders, checkCallbackRules}
	found := make([][]finding, len(checks))
	var wg sync.WaitGroup
	for n, check := range checks {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, checkMost)
			defer cancel()
			found[n] = check(ctx, p)
		})
	}
	wg.Wait()
	for _, some := range found {
		findings = append(findings, some...)
	}
	return findings
}

func aboutConfiguration(warnings []string, err error) (findings []finding) {
	for _, w := range warnings {
		findings = append(findings, finding{"configuration", warn, w, ""})
	}
	var problems *ConfigError
	switch {
	case errors.As(err, &problems):
		for _, p := range problems.Problems {
			findings = append(findings, finding{"configuration", fail, p, "mend the setting; `ringback config` prints what is in force"})
		}
	case err != nil:
		findings = append(findings, finding{"configuration", fail, err.Error(), ""})
	default:
		findings = append(findings, finding{"configuration", fine, "all settings can be read", ""})
	}
	return findings
}

func printFinding(w io.Writer, f finding) error {
	text := fmt.Sprintf("%-4s  %-13s  %s", f.Level, f.Check, f.Text)
	if f.Do != "" {
		text += "\n      " + fmt.Sprintf("%-13s", "") + "  → " + f.Do
	}
	_, err := fmt.Fprintln(w, text)
	return err
}

func printFindingJSON(w io.Writer, f finding) error {
	return json.NewEncoder(w).Encode(f)
}

// quietLog is for parts that want one: what they would log is among the findings.
func quietLog() *slog.Logger { return slog.New(slog.DiscardHandler) }
