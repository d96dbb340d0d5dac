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
