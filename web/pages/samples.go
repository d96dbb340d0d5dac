package pages

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/format"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/ringback/ringback/jobs"
)

// firstCall is what somebody can try who has nothing yet.
func firstCall(url string) string {
	return "curl " + url + "/v1/generate -H 'Content-Type: application/json' -d '{\n" +
		`  "model": "sim-small", "input": "Why is the sky blue?",` + "\n" +
		`  "webhook": "https://example.com/hook"}'`
}

// samples are the form in four languages. Header values and keys are secrets: they come from the environment.
func (p *Pages) samples(c *composerPage) []codeTab {
	s := sample{page: c, url: p.PublicURL}
	return []codeTab{
		{"curl", s.curl(), "Keys and header values come from the environment and are never written into the sample."},
		{"Go", s.golang(), s.sdk("github.com/openai/openai-go/v3")},
		{"Python", s.python(), s.sdk("pip install openai")},
		{"JavaScript", s.javascript(), s.sdk("npm install openai")},
	}
}

type sample struct {
	page *composerPage
	url  string
}

func (s sample) sdk(where string) string {
	if s.page.Kind == "generation" {
		return "Needs the standard library alone."
	}
	return "The official SDK, unchanged: " + where
}

// purpose is what the file is uploaded for.
func (s sample) purpose() string {
	if s.page.Kind == "fine_tuning" {
		return "fine-tune"
	}
	return "batch"
}

// environment is the variable that a header's value comes from. None begins with a digit.
func environment(header string) string {
	name := strings.Map(func(c rune) rune {
		if c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' {
			return c
		}
		return '_'
	}, strings.ToUpper(header))
	if name[0] >= '0' && name[0] <= '9' {
		return "_" + name
	}
	return name
}

// parts of the body, each rendered by a language.
type syntax struct {
	text   func(string) string           // a text
	env    func(string) string           // an environment variable
	key    func(string) string           // an object's member name
	file   string                        // the uploaded file's ID
	object func(members []string) string // an object of rendered members
}

func (s sample) members(x syntax) []string {
	_, body := s.page.request()
	var out []string
	for _, m := range body {
		out = append(out, x.key(m.name)+s.value(x, m.name, m.value))
	}
	return out
}

func (s sample) value(x syntax, name string, value any) string {
	switch v := value.(type) {
	case string:
		if name == "input_file_id" || name == "training_file" {
			return x.file
		}
		return x.text(v)
	case members:
		var inner []string
		for _, m := range v {
			inner = append(inner, x.key(m.name)+s.value(x, m.name, m.value))
		}
		return x.object(inner)
	case map[string]string:
		var inner []string
		for _, n := range slices.Sorted(maps.Keys(v)) {
			if name == "headers" {
				inner = append(inner, x.key(n)+x.env(environment(n)))
			} else {
				inner = append(inner, x.key(n)+x.text(v[n]))
			}
		}
		return x.object(inner)
	}
	return "null"
}

func quoted(text string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(text) // a text always encodes
	return strings.TrimSuffix(b.String(), "\n")
}

// shellQuoted is JSON inside '…' of a shell.
func shellQuoted(text string) string { return strings.ReplaceAll(quoted(text), "'", `'\''`) }

// curlQuoted is a file's name inside "…" of curl's -F, inside '…' of a shell.
func curlQuoted(name string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, `'`, `'\''`).Replace(name)
}

func (s sample) curl() string {
	key := ""
	if s.page.NeedsKey {
		key = " -H \"Authorization: Bearer $RINGBACK_KEY\""
	}
	x := syntax{
		text: shellQuoted, env: func(name string) string { return `"'"$` + name + `"'"` }, key: func(n string) string { return shellQuoted(n) + ": " },
		file: `"'"$FILE"'"`, object: func(m []string) string { return "{" + strings.Join(m, ", ") + "}" },
	}
	to, _ := s.page.request()
	var b strings.Builder
	if s.page.Kind != "generation" {
		fmt.Fprintf(&b, "FILE=$(curl -s %s/v1/files%s \\\n  -F purpose=%s -F 'file=@\"%s\"' | jq -r .id)\n\n", s.url, key, s.purpose(), curlQuoted(s.page.fileName()))
	}
	fmt.Fprintf(&b, "curl %s%s%s \\\n  -H 'Content-Type: application/json' -d '{\n    %s\n  }'", s.url, to, key, strings.Join(s.members(x), ",\n    "))
	return b.String()
}

func (s sample) python() string {
	x := syntax{
		text: quoted, env: func(name string) string { return `os.environ["` + name + `"]` }, key: func(n string) string { return quoted(n) + ": " },
		file: "file.id", object: func(m []string) string { return "{" + strings.Join(m, ", ") + "}" },
	}
	var b strings.Builder
	if s.page.Kind == "generation" {
		fmt.Fprintf(&b, "import json, os, urllib.request\n\nbody = {\n    %s,\n}\nrequest = urllib.request.Request(\n    %s,\n    json.dumps(body).encode(),\n    {\"Content-Type\": \"application/json\"%s},\n)\njob = json.load(urllib.request.urlopen(request))\nprint(job[\"id\"])",
			strings.Join(s.members(x), ",\n    "), quoted(s.url+"/v1/generate"), s.bearer(`, "Authorization": "Bearer " + os.environ["RINGBACK_KEY"]`))
		return b.String()
	}
	fmt.Fprintf(&b, "import os\nfrom openai import OpenAI\n\nclient = OpenAI(base_url=%s, api_key=%s)\n\nfile = client.files.create(file=open(%s, \"rb\"), purpose=%s)\n",
		quoted(s.url+"/v1"), s.either(`os.environ["RINGBACK_KEY"]`, `"none"`), quoted(s.page.fileName()), quoted(s.purpose()))
	_, body := s.page.request()
	var known, extra []string
	for _, m := range body {
		line := s.value(x, m.name, m.value)
		if slices.Contains([]string{"webhook", "priority"}, m.name) {
			extra = append(extra, quoted(m.name)+": "+line)
		} else {
			known = append(known, m.name+"="+line)
		}
	}
	if len(extra) > 0 {
		known = append(known, "extra_body={"+strings.Join(extra, ", ")+"}")
	}
	call := map[bool]string{true: "client.fine_tuning.jobs.create", false: "client.batches.create"}[s.page.Kind == "fine_tuning"]
	fmt.Fprintf(&b, "job = %s(\n    %s,\n)\nprint(job.id)", call, strings.Join(known, ",\n    "))
	return b.String()
}

func (s sample) javascript() string {
	x := syntax{
		text: quoted, env: func(name string) string { return "process.env." + name }, key: propertyName, file: "file.id",
		object: func(m []string) string { return "{ " + strings.Join(m, ", ") + " }" },
	}
	var b strings.Builder
	if s.page.Kind == "generation" {
		fmt.Fprintf(&b, "const answer = await fetch(%s, {\n  method: \"POST\",\n  headers: { \"Content-Type\": \"application/json\"%s },\n  body: JSON.stringify({\n    %s,\n  }),\n});\nconsole.log((await answer.json()).id);",
			quoted(s.url+"/v1/generate"), s.bearer(", Authorization: `Bearer ${process.env.RINGBACK_KEY}`"), strings.Join(s.members(x), ",\n    "))
		return b.String()
	}
	call := map[bool]string{true: "client.fineTuning.jobs.create", false: "client.batches.create"}[s.page.Kind == "fine_tuning"]
	fmt.Fprintf(&b, "import fs from \"node:fs\";\nimport OpenAI from \"openai\";\n\nconst client = new OpenAI({ baseURL: %s, apiKey: %s });\n\nconst file = await client.files.create({ file: fs.createReadStream(%s), purpose: %s });\nconst job = await %s({\n  %s,\n});\nconsole.log(job.id);",
		quoted(s.url+"/v1"), s.either("process.env.RINGBACK_KEY", `"none"`), quoted(s.page.fileName()), quoted(s.purpose()), call, strings.Join(s.members(x), ",\n  "))
	return b.String()
}

// propertyName writes a member's name, quoted where it must be.
func propertyName(name string) string {
	odd := func(c rune) bool { return c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') }
	if strings.ContainsFunc(name, odd) {
		return quoted(name) + ": "
	}
	return name + ": "
}

func (s sample) golang() string {
	x := syntax{
		text: strconv.Quote, env: func(name string) string { return `os.Getenv("` + name + `")` }, key: func(n string) string { return strconv.Quote(n) + ": " },
		file: "file.ID", object: func(m []string) string { return "map[string]any{" + strings.Join(m, ", ") + "}" },
	}
	if s.page.Kind == "generation" {
		bearer := s.bearer("\nrequest.Header.Set(\"Authorization\", \"Bearer \"+os.Getenv(\"RINGBACK_KEY\"))")
		return formatted("body, err := json.Marshal(map[string]any{\n\t%s,\n})\nif err != nil {\n\treturn err\n}\nrequest, err := http.NewRequestWithContext(ctx, \"POST\", %s, bytes.NewReader(body))\nif err != nil {\n\treturn err\n}\nrequest.Header.Set(\"Content-Type\", \"application/json\")%s\nanswer, err := http.DefaultClient.Do(request)\nif err != nil {\n\treturn err\n}\ndefer answer.Body.Close()\n_, err = io.Copy(os.Stdout, answer.Body)\nreturn err",
			strings.Join(s.members(x), ",\n\t"), strconv.Quote(s.url+"/v1/generate"), bearer)
	}
	call, params := "client.Batches.New", "openai.BatchNewParams"
	fields := []string{
		"InputFileID: file.ID", "Endpoint: openai.BatchNewParamsEndpoint(" + strconv.Quote(orElse(s.page.Path, jobs.BatchPaths[0])) + ")",
		"CompletionWindow: openai.BatchNewParamsCompletionWindow(" + strconv.Quote(orElse(s.page.Window, "24h")) + ")",
	}
	purpose := "openai.FilePurposeBatch"
	if s.page.Kind == "fine_tuning" {
		call, params, purpose = "client.FineTuning.Jobs.New", "openai.FineTuningJobNewParams", "openai.FilePurposeFineTune"
		fields = []string{"Model: openai.FineTuningJobNewParamsModel(" + strconv.Quote(s.page.Model) + ")", "TrainingFile: file.ID"}
		if s.page.Suffix != "" {
			fields = append(fields, "Suffix: openai.String("+strconv.Quote(s.page.Suffix)+")")
		}
	}
	var extra []string
	_, body := s.page.request()
	for _, m := range body {
		if slices.Contains([]string{"webhook", "priority", "metadata"}, m.name) {
			extra = append(extra, "\n\toption.WithJSONSet("+strconv.Quote(m.name)+", "+s.value(x, m.name, m.value)+"),")
		}
	}
	return formatted("client := openai.NewClient(option.WithBaseURL(%s), option.WithAPIKey(%s))\n\nin, err := os.Open(%s)\nif err != nil {\n\treturn err\n}\ndefer in.Close()\nfile, err := client.Files.New(ctx, openai.FileNewParams{File: in, Purpose: %s})\nif err != nil {\n\treturn err\n}\njob, err := %s(ctx, %s{\n\t%s,\n},%s\n)\nif err != nil {\n\treturn err\n}\nfmt.Println(job.ID)",
		strconv.Quote(s.url+"/v1/"), s.either(`os.Getenv("RINGBACK_KEY")`, `"none"`), strconv.Quote(s.page.fileName()), purpose, call, params, strings.Join(fields, ",\n\t"), strings.Join(extra, ""))
}

// formatted is Go as gofmt writes it.
func formatted(form string, parts ...any) string {
	text := fmt.Sprintf(form, parts...)
	if tidy, err := format.Source([]byte(text)); err == nil {
		return string(tidy)
	}
	return text
}

func (s sample) bearer(text string) string {
	if s.page.NeedsKey {
		return text
	}
	return ""
}

func (s sample) either(withKey, without string) string {
	if s.page.NeedsKey {
		return withKey
	}
	return without
}
