package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// S3 is a file store for many machines: a bucket, or what stands in it under a prefix, of any S3-compatible server. What
// stands under a key is whole. Only what every such server knows is used: objects, ranges, parts, Content-MD5.
//
// The prefix belongs to one Ringback alone: what stands there for a day without a row that names it is removed.
type S3 struct {
	core      *minio.Core
	transport *http.Transport
	bucket    string
	prefix    string // "", or it ends with a slash
	patience  time.Duration
}

var _ Files = (*S3)(nil)

// S3Options say where the bucket is and how it is reached; ParseS3 makes them of a URL.
type S3Options struct {
	Bucket      string
	Prefix      string // of all keys, without a slash at its ends; "" means none
	Endpoint    string // http(s)://HOST[:PORT]; "" means Amazon's
	Region      string // "" means us-east-1 where there is an endpoint, else what the server says
	VirtualHost bool   // the bucket stands in the host name, not in the path; at Amazon's it always does
	AccessKey   string // "" means AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of the environment, or the machine's role
	SecretKey   string

	// Stall is how long a server may neither send nor take a byte. Zero means a minute: some servers put an upload's parts
	// together without a word.
	Stall time.Duration
	Log   *slog.Logger // hears of a server that is away at the start; nil means nobody does
}

const (
	// s3Tries is how often a request is made at the most; the client waits up to a second in between.
	s3Tries = 3
	// pingPatience bounds a Ping: who asks whether a server is there wants to hear soon that it is not.
	pingPatience = 5 * time.Second
)

// OpenS3 asks the server for the bucket. One that does not exist or must not be used is an error; a server that does not
// answer is not: what needs no files works, and Ping tells.
func OpenS3(ctx context.Context, o S3Options) (*S3, error) {
	if o.Stall == 0 {
		o.Stall = time.Minute
	}
	keys, err := s3Keys(ctx, o)
	if err != nil {
		return nil, err
	}
	s := &S3{transport: s3Transport(o.Stall), bucket: o.Bucket, patience: 2 * o.Stall}
	if o.Prefix != "" {
		s.prefix = o.Prefix + "/"
	}
	if s.core, err = newCore(o, keys, s.transport); err != nil {
		return nil, fmt.Errorf("store: the S3 settings do not fit: %w", err)
	}
	if err := s.Ping(ctx); err != nil {
		if ctx.Err() != nil || refused(err) {
			return nil, errors.Join(err, s.Close())
		}
		if o.Log != nil {
			o.Log.Warn("the file store does not answer; going on without it, until it does", "bucket", o.Bucket, "err", err)
		}
	}
	return s, nil
}

func newCore(o S3Options, keys *credentials.Credentials, transport *http.Transport) (*minio.Core, error) {
	options := &minio.Options{Creds: keys, Transport: transport, Region: o.Region, MaxRetries: s3Tries, Secure: true}
	if o.Endpoint == "" {
		return minio.NewCore("s3.amazonaws.com", options)
	}
	scheme, host, _ := strings.Cut(o.Endpoint, "://")
	options.Secure = scheme != "http"
	if options.BucketLookup = minio.BucketLookupPath; o.VirtualHost {
		options.BucketLookup = minio.BucketLookupDNS
	}
	if options.Region == "" {
		options.Region = "us-east-1" // what servers that have no regions call themselves
	}
	return minio.NewCore(host, options)
}

// Close lets go of the connections.
func (s *S3) Close() error {
	s.transport.CloseIdleConnections()
	return nil
}

// Ping lists one key, which needs the bucket, the keys and the right to look. It answers within five seconds.
func (s *S3) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pingPatience)
	defer cancel()
	for o := range s.core.ListObjectsIter(ctx, s.bucket, minio.ListObjectsOptions{Prefix: s.prefix, Recursive: true, MaxKeys: 1}) {
		if o.Err != nil {
			return fmt.Errorf("store: the bucket %s cannot be used: %w", s.bucket, said(o.Err))
		}
		break
	}
	return ctx.Err()
}

// Remove deletes what stands under key; nothing there is no error.
func (s *S3) Remove(ctx context.Context, key string) error {
	name, err := s.name(key)
	if err != nil {
		return err
	}
	return s.remove(ctx, name)
}

func (s *S3) remove(ctx context.Context, name string) error {
	err := s.core.RemoveObject(ctx, s.bucket, name, minio.RemoveObjectOptions{})
	return ignoreMissing(failed(ctx, "The file cannot be removed now. Try again later.", err))
}

// Older lists the keys that were written before a time, by the server's clock.
func (s *S3) Older(ctx context.Context, than time.Time) ([]string, error) {
	var keys []string
	for o := range s.core.ListObjectsIter(ctx, s.bucket, minio.ListObjectsOptions{Prefix: s.prefix, Recursive: true}) {
		if o.Err != nil {
			return keys, failed(ctx, "The files cannot be listed now. Try again later.", o.Err)
		}
		if o.LastModified.Before(than) {
			keys = append(keys, strings.TrimPrefix(o.Key, s.prefix))
		}
	}
	return keys, ctx.Err()
}

// DropUnfinished ends the uploads in parts that began before a time: their parts take space and are seen nowhere.
func (s *S3) DropUnfinished(ctx context.Context, than time.Time) (n int, err error) {
	for key, id, more := "", "", true; more; {
		page, err := s.core.ListMultipartUploads(ctx, s.bucket, s.prefix, key, id, "", 0)
		if noSuchUpload(err) {
			return n, nil // so some servers say that there is none
		}
		if err != nil {
			return n, failed(ctx, "The unfinished uploads cannot be listed now. Try again later.", err)
		}
		for _, u := range page.Uploads {
			if !u.Initiated.Before(than) {
				continue
			}
			if err := s.abort(ctx, u.Key, u.UploadID); err != nil {
				return n, err
			}
			n++
		}
		more = page.IsTruncated && (page.NextKeyMarker != key || page.NextUploadIDMarker != id)
		key, id = page.NextKeyMarker, page.NextUploadIDMarker
	}
	return n, nil
}

// name is the object of a key. What a Folder would not take is refused here too.
func (s *S3) name(key string) (string, error) {
	if !fs.ValidPath(key) || key == "." {
		return "", fmt.Errorf("store: %q is not the key of a file", key)
	}
	return s.prefix + key, nil
}
