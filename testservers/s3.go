package testservers

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Bucket is the bucket that every new S3 server has.
const Bucket = "ringback"

// S3 is an S3 server: versitygw over a folder. It keeps what it has answered for over a Kill.
type S3 struct {
	AccessKey, SecretKey string // made at its start, and good for everything

	server
	healthPath string // nobody else's server answers there
}

// StartS3 starts a server that has one bucket. The very first start on a machine builds the program, which takes a minute
// or two and the network; see versitygw.
func StartS3() (*S3, error) {
	program, err := versitygw()
	if err != nil {
		return nil, err
	}
	dir, err := newDir()
	if err != nil {
		return nil, err
	}
	s := &S3{AccessKey: rand.Text(), SecretKey: rand.Text(), healthPath: "/" + rand.Text()}
	s.server = server{name: "versitygw", dir: dir, answers: s.isHealthy}
	s.command = func(port int) *exec.Cmd { return s.run(program, port) }
	for _, sub := range []string{s.root(), s.sidecar()} {
		if err := os.Mkdir(sub, 0o700); err != nil {
			return nil, errors.Join(fmt.Errorf("testservers: folder for versitygw: %w", err), s.Stop())
		}
	}
	if err := s.MakeBucket(Bucket); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, s.begin()
}

// root is the folder whose folders are the buckets. What else there is to know of an object stands in the sidecar, so that
// any file system will do.
func (s *S3) root() string    { return filepath.Join(s.dir, "buckets") }
func (s *S3) sidecar() string { return filepath.Join(s.dir, "sidecar") }

// run prepares the program. What the environment says of another gateway is not for it, and the keys are in no list of
// processes.
func (s *S3) run(program string, port int) *exec.Cmd {
	cmd := exec.Command(program, "--port", address(port), "--health", s.healthPath, "--quiet", "--keep-alive",
		"posix", "--sidecar", s.sidecar(), s.root())
	cmd.Dir = s.dir
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "VGW_") && !strings.HasPrefix(v, "ROOT_") && !strings.HasPrefix(v, "AWS_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "ROOT_ACCESS_KEY="+s.AccessKey, "ROOT_SECRET_KEY="+s.SecretKey)
	return cmd
}

func (s *S3) isHealthy(int) bool {
	client := http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get(s.Endpoint() + s.healthPath)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode == http.StatusOK
}

// MakeBucket makes another bucket.
func (s *S3) MakeBucket(name string) error {
	if err := os.Mkdir(filepath.Join(s.root(), name), 0o700); err != nil {
		return fmt.Errorf("testservers: bucket %s: %w", name, err)
	}
	return nil
}

// Endpoint is where the server listens: http://127.0.0.1:port.
func (s *S3) Endpoint() string { return "http://" + address(s.port) }

// URL names a bucket, with a prefix or without, as files.url does: s3://bucket/prefix?endpoint=http://127.0.0.1:port.
func (s *S3) URL(bucket string) string {
	return "s3://" + bucket + "?" + url.Values{"endpoint": {s.Endpoint()}}.Encode()
}
