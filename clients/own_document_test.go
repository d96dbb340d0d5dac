package clients

import (
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"
)

// Ringback's own document is one that tools can read.
func TestOurDocumentIsOpenAPI(t *testing.T) {
	t.Parallel()
	document, err := openapi3.NewLoader().LoadFromFile("../web/openapi/openapi.yaml")
	require.NoError(t, err)
	require.NoError(t, document.Validate(t.Context()))
}
