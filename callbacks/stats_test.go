package callbacks

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOutcomesAreFew(t *testing.T) {
	t.Parallel()
	for want, a := range map[string]Attempt{
		"2xx":      {StatusCode: 204},
		"4xx":      {StatusCode: 499},
		"5xx":      {StatusCode: 503},
		"redirect": {StatusCode: 302, ErrorClass: ClassRedirect},
		"timeout":  {ErrorClass: ClassTimeout},
	} {
		require.Equal(t, want, a.Outcome())
	}
}
