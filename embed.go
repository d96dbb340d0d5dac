// Package ringback carries the default configuration, so that the binary
// runs without any file beside it.
package ringback

import _ "embed"

// DefaultConfig is config.yaml as it stands in the repository: every setting,
// its default and a comment. It is the only source of defaults; a file, the
// environment and flags are laid over it.
//
//go:embed config.yaml
var DefaultConfig []byte
