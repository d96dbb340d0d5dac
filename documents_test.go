package ringback_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// documents are all that people read, but for what is not ours.
func documents(t *testing.T) (files []string) {
	t.Helper()
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md", "examples/*.md", "web/openapi/page/README.md"} {
		found, err := filepath.Glob(pattern)
		require.NoError(t, err)
		files = append(files, found...)
	}
	return files
}

var (
	links    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	headings = regexp.MustCompile(`(?m)^#+ (.+)$`)
	unlinked = regexp.MustCompile(`[^a-z0-9 _-]`)
)

// Links lead to files that are there, and to headings in them.
func TestLinksOfDocuments(t *testing.T) {
	t.Parallel()
	for _, file := range documents(t) {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, link := range links.FindAllStringSubmatch(string(text), -1) {
			target, anchor, _ := strings.Cut(link[1], "#")
			if strings.Contains(target, ":") {
				continue // elsewhere
			}
			to := file
			if target != "" {
				to = filepath.Join(filepath.Dir(file), target)
			}
			_, err := os.Stat(to)
			require.NoError(t, err, "%s links to %s", file, link[1])
			if anchor != "" {
				require.Contains(t, anchors(t, to), anchor, "%s links to %s", file, link[1])
			}
		}
	}
}

// anchors are the names that headings can be linked by.
func anchors(t *testing.T, file string) (names []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	for _, h := range headings.FindAllStringSubmatch(string(text), -1) {
		names = append(names, strings.ReplaceAll(unlinked.ReplaceAllString(strings.ToLower(h[1]), ""), " ", "-"))
	}
	return names
}

// The index names every document beside it.
func TestTheIndexNamesEachDocument(t *testing.T) {
	t.Parallel()
	index, err := os.ReadFile("docs/README.md")
	require.NoError(t, err)
	for _, file := range documents(t) {
		if name, is := strings.CutPrefix(file, "docs/"); is && name != "README.md" {
			require.Contains(t, string(index), "]("+name+")")
		}
	}
}

var verbs = regexp.MustCompile(`%[-+# 0-9.]*[a-zA-Z]`)

// What docs/troubleshooting.md quotes is what the program says: each quotation is a part of one text in its source, with … in the
// place of what differs.
func TestTroubleshootingQuotesTheProgram(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("docs/troubleshooting.md")
	require.NoError(t, err)
	said := texts(t)
	quoted := 0
	for _, line := range strings.Split(string(text), "\n") {
		quotation, is := strings.CutPrefix(line, "> ")
		if !is {
			continue
		}
		quoted++
		require.True(t, says(said, quotation), "the program does not say: %s", quotation)
	}
	require.Greater(t, quoted, 30)
	require.False(t, says(said, "The provider is on holiday (…); come back later."))
}

func says(texts []string, quotation string) bool {
	for _, text := range texts {
		if strings.Contains(text, quotation) {
			return true
		}
	}
	return false
}

// texts are those in the program's source, put together where they are written in parts.
func texts(t *testing.T) (all []string) {
	t.Helper()
	require.NoError(t, fs.WalkDir(os.DirFS("."), ".", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && (strings.HasPrefix(d.Name(), ".") && file != "." || d.Name() == "data" || d.Name() == "clients") {
			return skip(err)
		}
		if d.IsDir() || filepath.Ext(file) != ".go" || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if e, is := n.(ast.Expr); is {
				if text, is := constant(e); is {
					all = append(all, verbs.ReplaceAllString(text, "…"))
					return false
				}
			}
			return true
		})
		return nil
	}))
	return all
}

// constant is the text of a literal, or of literals that are added up.
func constant(e ast.Expr) (text string, is bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind != token.STRING {
			return "", false
		}
		text, err := strconv.Unquote(e.Value)
		return text, err == nil
	case *ast.BinaryExpr:
		x, one := constant(e.X)
		y, other := constant(e.Y)
		return x + y, one && other && e.Op == token.ADD
	}
	return "", false
}
