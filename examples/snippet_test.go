package examples

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// snippets name, for each language of a fenced block, the file whose marked region the documents show. The same region
// verifies in the receivers that the other tests drive.
func snippets() map[string]string {
	return map[string]string{
		"go":         "receiver-go/verify.go",
		"python":     "receiver-python/receiver.py",
		"javascript": "receiver-javascript/receiver.mjs",
	}
}

// What the documents show is what runs.
func TestDocumentsShowTheSnippets(t *testing.T) {
	t.Parallel()
	for _, document := range []string{"README.md", "../README.md"} {
		text, err := os.ReadFile(document)
		require.NoError(t, err)
		require.NoError(t, showsSnippets(string(text)), document)
	}
}

func TestADocumentWithAnotherSnippetIsNoticed(t *testing.T) {
	t.Parallel()
	var shown strings.Builder
	for language, file := range snippets() {
		text, err := region(file)
		require.NoError(t, err)
		require.Less(t, strings.Count(text, "\n"), 17, "%s is no longer a few lines", file)
		fmt.Fprintf(&shown, "Text.\n\n```%s\n%s\n```\n\n", language, text)
	}
	require.NoError(t, showsSnippets(shown.String()))
	require.ErrorContains(t, showsSnippets(strings.Replace(shown.String(), "300", "301", 1)), "receiver")
	require.ErrorContains(t, showsSnippets(strings.Replace(shown.String(), "```go", "```sh", 1)), "receiver-go/verify.go")
}

// showsSnippets tells whether a Markdown text has each language's region as a fenced block of that language.
func showsSnippets(markdown string) error {
	for language, file := range snippets() {
		want, err := region(file)
		if err != nil {
			return err
		}
		if !slices.Contains(blocks(markdown, language), want) {
			return fmt.Errorf("no block of %s is what stands between --- verify and --- end in examples/%s; paste it:\n%s", language, file, want)
		}
	}
	return nil
}

// region is what stands between a file's two marks.
func region(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	_, rest, ok := strings.Cut(string(text), "--- verify\n")
	if !ok {
		return "", fmt.Errorf("%s has no mark --- verify", file)
	}
	inside, _, ok := strings.Cut(rest, "--- end\n")
	if !ok {
		return "", fmt.Errorf("%s has no mark --- end", file)
	}
	return strings.TrimSpace(inside[:strings.LastIndexByte(inside, '\n')]), nil
}

// blocks gives a language's fenced blocks.
func blocks(markdown, language string) (found []string) {
	for _, after := range strings.Split("\n"+markdown, "\n```"+language+"\n")[1:] {
		block, _, _ := strings.Cut(after, "\n```")
		found = append(found, strings.TrimSpace(block))
	}
	return found
}
