package clients

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// ring is the one server that all tests share; TestMain starts and stops it.
var ring *fixture

// fixture is a running server, the receiver that it may call, and the document that its answers are checked against.
type fixture struct {
	*server
	binary   string
	receiver *receiver
	document *document // nil where RINGBACK_OPENAI_SPEC is unset
}

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "clients:", err)
		code = 1
	}
	os.Exit(code)
}

// run tests between the start and the orderly end of the server; both must succeed.
func run(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "ringback-clients-")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	ring = &fixture{binary: filepath.Join(dir, "ringback")}
	if ring.document, err = loadDocument(os.Getenv(documentVariable)); err != nil {
		return 1, err
	}
	if err := build(ring.binary); err != nil {
		return 1, err
	}
	ring.receiver = startReceiver()
	defer ring.receiver.close()
	if ring.server, err = startServer(ring.binary, filepath.Join(dir, "serve"), ring.receiver.port()); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, ring.stop()) }()
	return m.Run(), nil
}

// build makes the command from the module above, as its users do.
func build(binary string) error {
	cmd := exec.Command("go", "build", "-o", binary, "./cmd/ringback")
	cmd.Dir = ".."
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build ../cmd/ringback: %w\n%s", err, out)
	}
	return nil
}
