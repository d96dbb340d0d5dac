package store

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"

	"github.com/minio/minio-go/v7/pkg/s3utils"
)

// DefaultPrefix stands where a URL names a bucket alone: the janitor removes what it does not know, and a bucket may hold
// more than our files.
const DefaultPrefix = "ringback"

// ParseS3 reads s3://BUCKET[/PREFIX][?endpoint=http(s)://HOST[:PORT]&region=REGION&addressing=path|virtual]. The keys are
// no part of it. Errors show nothing of a URL that carries a password.
func ParseS3(text string) (S3Options, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "s3" || u.Opaque != "" || u.Fragment != "" {
		return S3Options{}, errors.New("is not a bucket's URL: write s3://BUCKET/PREFIX?endpoint=https://HOST:PORT")
	}
	if u.User != nil {
		return S3Options{}, errors.New("carries keys: set them as files.access_key and files.secret_key instead")
	}
	if err := s3utils.CheckValidBucketNameStrict(u.Host); err != nil {
		return S3Options{}, fmt.Errorf("%q is not the name of a bucket: take 3 to 63 lower-case letters, digits, dots and hyphens", u.Host)
	}
	o := S3Options{Bucket: u.Host, Prefix: strings.Trim(u.Path, "/")}
	if o.Prefix == "" {
		o.Prefix = DefaultPrefix
	}
	if !fs.ValidPath(o.Prefix) || o.Prefix == "." {
		return S3Options{}, fmt.Errorf("%q is not a prefix: leave out empty parts and dots that stand alone", o.Prefix)
	}
	return o, o.readQuery(u.RawQuery)
}

func (o *S3Options) readQuery(raw string) error {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return errors.New("has a ? after which stands no list of NAME=VALUE")
	}
	for name, values := range query {
		if len(values) > 1 {
			return fmt.Errorf("says %s twice", name)
		}
		if err := o.set(name, values[0]); err != nil {
			return err
		}
	}
	if o.VirtualHost && o.Endpoint == "" {
		return errors.New("has an addressing without an endpoint: Amazon's knows its own")
	}
	return nil
}

func (o *S3Options) set(name, value string) error {
	switch name {
	case "endpoint":
		o.Endpoint = strings.TrimSuffix(value, "/")
		return checkEndpoint(o.Endpoint)
	case "region":
		o.Region = value
		return nil
	case "addressing":
		o.VirtualHost = value == "virtual"
		if value != "path" && value != "virtual" {
			return fmt.Errorf("has the addressing %q: write path or virtual", value)
		}
		return nil
	}
	return fmt.Errorf("has a %s after the ?: only endpoint, region and addressing are known", name)
}

// checkEndpoint wants a scheme, a host and nothing else: S3 signs paths.
func checkEndpoint(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("has an endpoint that is not http://HOST:PORT or https://HOST:PORT")
	}
	if u.User != nil {
		return errors.New("has an endpoint that carries keys: set them as files.access_key and files.secret_key instead")
	}
	return nil
}
