//go:build !race

package jobs

import (
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestExamplesAreReadInFlatMemory reads 160 MB whose lines have 4 MB.
func TestExamplesAreReadInFlatMemory(t *testing.T) {
	line := says(`{"role":"user","content":"`+strings.Repeat("x", 4<<20)+`"}`) + "\n"
	s := &exampleScan{param: "training_file", least: leastTraining, forms: formsOf("")}
	var before runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	file := &manyLines{line: line, left: 40}
	require.NoError(t, s.run(t.Context(), file))
	require.Nil(t, s.reason())
	require.Equal(t, 40, s.examples)
	require.Less(t, int64(file.peak-before.HeapAlloc), int64(64<<20))
}

// TestAnInputIsCheckedInFlatMemory reads 200 MB of a batch's lines, and of one line that has no end.
func TestAnInputIsCheckedInFlatMemory(t *testing.T) {
	line := `{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"x":"` + strings.Repeat("x", 1<<20) + "\"}}\n"
	for name, line := range map[string]string{"lines": line, "one line": strings.Repeat("x", 1<<20)} {
		var before runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		file := &manyLines{line: line, left: 200}
		got, err := (&Service{ServiceOptions: ServiceOptions{Limits: Limits{BatchLines: 1000}}}).CheckInput(t.Context(), DefaultProject, KindBatch, "", file, nil)
		require.NoError(t, err, name)
		require.NotEmpty(t, got.Problems, name)
		require.EqualValues(t, 200*len(line), got.Bytes, name)
		require.Less(t, int64(file.peak-before.HeapAlloc), int64(80<<20), name)
	}
}
