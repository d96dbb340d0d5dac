package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/jobs"
)

const chatPath = "/v1/chat/completions"

// problems are what a check has found: "code line".
func problems(c jobs.InputCheck) (all []string) {
	for _, p := range c.Problems {
		line := int64(0)
		if p.Line != nil {
			line = *p.Line
		}
		all = append(all, fmt.Sprintf("%s %d", p.Code, line))
	}
	return all
}

func TestCheckOfABatchsInput(t *testing.T) {
	t.Parallel()
	x := newExchange(t)
	line := func(replace, with string) string { return strings.Replace(request(2), replace, with, 1) + "\n" }
	for name, tc := range map[string]struct {
		path, input string
		lines       int64
		want        []string
	}{
		"sound":                    {"", requests(3), 3, nil},
		"no final newline":         {"", strings.TrimSuffix(requests(3), "\n"), 3, nil},
		"CRLF":                     {"", strings.ReplaceAll(requests(3), "\n", "\r\n"), 3, nil},
		"byte order mark":          {"", "\ufeff" + requests(2), 2, nil},
		"blank lines":              {"", "\n" + requests(2) + "\n \n", 2, nil},
		"empty":                    {"", "", 0, []string{"empty_file 0"}},
		"nothing but blank lines":  {"", "\n\n", 2, []string{"empty_file 0"}},
		"a repeated ID":            {"", request(1) + "\n" + line(`"r2"`, `"r1"`), 2, []string{"duplicate_custom_id 2"}},
		"bad JSON":                 {"", request(1) + "\n{oops\n", 2, []string{"invalid_json_line 2"}},
		"another URL":              {"", request(1) + "\n" + line(chatPath, "/v1/embeddings"), 2, []string{"invalid_url 2"}},
		"another URL than asked":   {"/v1/embeddings", request(1) + "\n", 1, []string{"invalid_url 1"}},
		"a URL that none can call": {"", strings.ReplaceAll(requests(2), chatPath, "/v1/videos"), 2, []string{"invalid_url 1", "invalid_url 2"}},
		"no URL":                   {"", strings.ReplaceAll(requests(1), chatPath, ""), 1, []string{"invalid_url 1"}},
		"another model":            {"", request(1) + "\n" + line("m1", "m2"), 2, []string{"mismatched_model 2"}},
		"a model of nobody":        {"", strings.ReplaceAll(requests(1), "m1", "x1"), 1, []string{"model_not_found 1"}},
		"too many":                 {"", requests(51), 51, []string{"too_many_tasks 0"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := strings.NewReader(tc.input)
			got, err := x.service.CheckInput(t.Context(), "default", jobs.KindBatch, tc.path, in, nil)
			require.NoError(t, err)
			require.Zero(t, in.Len(), "it reads to the end")
			require.True(t, got.Done)
			require.Equal(t, tc.want, problems(got))
			require.Equal(t, tc.lines, got.Lines)
			require.EqualValues(t, len(tc.input), got.Bytes)
			if tc.want == nil {
				require.Equal(t, chatPath, got.Path)
				require.Equal(t, "m1", got.Model)
			}
		})
	}
}

func TestCheckOfManyProblemsReadsOn(t *testing.T) {
	t.Parallel()
	x := newExchange(t)
	in := strings.NewReader(strings.Repeat("{}\n", 1000))
	got, err := x.service.CheckInput(t.Context(), "default", jobs.KindBatch, "", in, nil)
	require.NoError(t, err)
	require.Zero(t, in.Len())
	require.GreaterOrEqual(t, len(got.Problems), 100)
	require.LessOrEqual(t, len(got.Problems), 104)
	require.EqualValues(t, 1000, got.Lines)

	long := strings.NewReader(request(1) + "\n" + strings.Repeat("x", jobs.MaxLine+1) + "\n" + request(2))
	got, err = x.service.CheckInput(t.Context(), "default", jobs.KindBatch, "", long, nil)
	require.NoError(t, err)
	require.Zero(t, long.Len())
	require.Equal(t, []string{"invalid_request 2"}, problems(got))
}

func TestCheckOfExamples(t *testing.T) {
	t.Parallel()
	x := newExchange(t)
	chat := `{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}` + "\n"
	for name, tc := range map[string]struct {
		input string
		lines int64
		want  []string
		says  string
	}{
		"chat":           {strings.Repeat(chat, 10), 10, nil, ""},
		"completions":    {strings.Repeat(`{"prompt":"a","completion":"b"}`+"\n", 12), 12, nil, ""},
		"preference":     {strings.Repeat(`{"input":{"messages":[{"role":"user","content":"a"}]},"preferred_output":[{"role":"assistant","content":"b"}],"non_preferred_output":[{"role":"assistant","content":"c"}]}`+"\n", 10), 10, nil, ""},
		"reinforcement":  {strings.Repeat(`{"messages":[{"role":"user","content":"a"}],"answer":1}`+"\n", 10), 10, nil, ""},
		"too few":        {strings.Repeat(chat, 9), 9, []string{"invalid_n_examples 0"}, "The file has 9 examples, but must have at least 10."},
		"two forms":      {strings.Repeat(chat, 10) + `{"prompt":"a","completion":"b"}` + "\n", 11, []string{"invalid_training_file 11"}, "it is a completions example"},
		"a fault inside": {strings.Repeat(chat, 10) + `{"messages":[{"role":"x","content":"a"}]}` + "\n", 11, []string{"invalid_training_file 11"}, "messages[0].role: unknown role 'x'"},
		"bad JSON":       {strings.Repeat(chat, 10) + "{oops\n", 11, []string{"invalid_training_file 11"}, "it is not valid JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := strings.NewReader(tc.input)
			got, err := x.service.CheckInput(t.Context(), "default", jobs.KindTuning, "", in, nil)
			require.NoError(t, err)
			require.Zero(t, in.Len())
			require.Equal(t, tc.want, problems(got))
			require.Equal(t, tc.lines, got.Lines)
			if tc.says != "" {
				require.True(t, strings.HasPrefix(got.Problems[0].Message, tc.says), got.Problems[0].Message)
			}
		})
	}
}

// TestCheckTellsHowFarItIs: what is told only grows.
func TestCheckTellsHowFarItIs(t *testing.T) {
	t.Parallel()
	x := newExchange(t)
	for _, kind := range []jobs.Kind{jobs.KindBatch, jobs.KindTuning} {
		var told []jobs.InputCheck
		input := strings.Repeat("{\"a\":\""+strings.Repeat("x", 1000)+"\"}\n", 3000)
		got, err := x.service.CheckInput(t.Context(), "default", kind, "", strings.NewReader(input), func(c jobs.InputCheck) { told = append(told, c) })
		require.NoError(t, err)
		require.Greater(t, len(told), 5)
		var lines int64
		n := 0
		for _, c := range append(told, got) {
			require.GreaterOrEqual(t, c.Lines, lines)
			require.GreaterOrEqual(t, len(c.Problems), n)
			lines, n = c.Lines, len(c.Problems)
		}
		require.False(t, told[0].Done)
		require.NotEmpty(t, told[len(told)-1].Problems)
	}
}

// TestCheckOfABrokenStream fails as the stream does.
func TestCheckOfABrokenStream(t *testing.T) {
	t.Parallel()
	x := newExchange(t)
	broken := errors.New("broken")
	for _, kind := range []jobs.Kind{jobs.KindBatch, jobs.KindTuning} {
		_, err := x.service.CheckInput(t.Context(), "default", kind, "", io.MultiReader(strings.NewReader(requests(1)), failing{broken}), nil)
		require.ErrorIs(t, err, broken)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		in := strings.NewReader(requests(3))
		_, err = x.service.CheckInput(ctx, "default", kind, "", in, nil)
		require.ErrorIs(t, err, context.Canceled)
		require.Zero(t, in.Len(), "who writes is not kept waiting")
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
