package web

import (
	"math"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/jobs"
)

var methods = []string{"supervised", "dpo", "reinforcement"}

// checkMethod looks at the method and its hyperparameters, which stand under the method's own name.
func checkMethod(v gjson.Result) error {
	f, err := objectFields("method", v, append([]string{"type"}, methods...)...)
	if err != nil || v.Type == gjson.Null {
		return err
	}
	kind, err := f.text("type")
	switch {
	case err != nil:
		return err
	case kind == "":
		return missing("method.type")
	case !slices.Contains(methods, kind):
		return unsupported("method.type", kind, methods)
	}
	name := "method." + kind
	own, err := objectFields(name, f.members[kind], "hyperparameters", "grader")
	if err != nil {
		return err
	}
	if grader := own.members["grader"]; kind == "reinforcement" && !grader.IsObject() {
		if grader.Type == gjson.Null {
			return missing(name + ".grader")
		}
		return typeError(name+".grader", "an object", grader)
	}
	return checkHyperparameters(name+".hyperparameters", own.members["hyperparameters"])
}

func unsupported(name, value string, supported []string) error {
	return jobs.Errorf(jobs.CodeValue, name, "Invalid value: '%s'. Supported values are: '%s'.", clip(value), strings.Join(supported, "', '"))
}

// bounds are a number's; above is a least value that does not belong to it.
type bounds struct {
	whole              bool
	least, above, most float64
}

// hyperparameters are what OpenAI documents of them, all methods together; each may be "auto" too.
var hyperparameters = map[string]bounds{
	"batch_size":               {whole: true, least: 1, most: 256},
	"n_epochs":                 {whole: true, least: 1, most: 50},
	"learning_rate_multiplier": {most: math.MaxFloat64},
	"beta":                     {most: 2},
	"compute_multiplier":       {above: 1e-5, most: 10},
	"eval_interval":            {whole: true, least: 1, most: math.MaxInt32},
	"eval_samples":             {whole: true, least: 1, most: math.MaxInt32},
}

var efforts = []string{"default", "low", "medium", "high"}

func checkHyperparameters(name string, v gjson.Result) error {
	known := []string{"reasoning_effort"}
	for key := range hyperparameters {
		known = append(known, key)
	}
	slices.Sort(known)
	f, err := objectFields(name, v, known...)
	if err != nil {
		return err
	}
	for _, key := range known {
		got := f.members[key]
		if got.Type == gjson.Null {
			continue
		}
		if key != "reasoning_effort" {
			err = hyperparameters[key].check(f.path+key, got)
		} else if effort, wrong := f.text(key); wrong != nil || !slices.Contains(efforts, effort) {
			err = unsupported(f.path+key, got.String(), efforts)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (b bounds) check(name string, v gjson.Result) error {
	if v.Type == gjson.String && v.Str == "auto" {
		return nil
	}
	if v.Type != gjson.Number {
		return typeError(name, "'auto' or a number", v)
	}
	if b.whole {
		_, err := readInteger(name, v, int64(b.least), int64(b.most))
		return err
	}
	switch {
	case v.Num <= b.above:
		return jobs.Errorf(codeLow, name, "Invalid '%s': decimal below minimum value. Expected a value > %v, but got %v instead.", name, b.above, v.Num)
	case v.Num > b.most:
		return jobs.Errorf(codeHigh, name, "Invalid '%s': decimal above maximum value. Expected a value <= %v, but got %v instead.", name, b.most, v.Num)
	}
	return nil
}
