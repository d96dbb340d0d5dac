package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"

	"github.com/minio/minio-go/v7"

	"github.com/ringback/ringback/jobs"
)

// failed says of a request that could not be answered: the caller has given up, there is no such object
// (fs.ErrNotExist), or, of all else, that it may work later. Nil stays nil.
func failed(ctx context.Context, message string, err error) error {
	var r minio.ErrorResponse
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &r) && r.Code == minio.NoSuchKey:
		return fmt.Errorf("store: the file store has no such object: %w", fs.ErrNotExist)
	}
	return &jobs.Error{Code: jobs.CodeUnavailable, Message: message, Err: said(err)}
}

func noSuchUpload(err error) bool {
	var r minio.ErrorResponse
	return errors.As(err, &r) && r.Code == minio.NoSuchUpload
}

// refused tells the answers that asking again will not change: somebody has to mend the settings or the bucket.
func refused(err error) bool {
	var r minio.ErrorResponse
	if !errors.As(err, &r) {
		return false
	}
	switch r.StatusCode {
	case http.StatusRequestTimeout, http.StatusTooManyRequests:
		return false
	}
	return r.StatusCode >= 300 && r.StatusCode < 500
}

// said gives the server's own words their code, and what to do about them. No error holds a key: requests carry them in
// headers, and only as signatures.
func said(err error) error {
	var r minio.ErrorResponse
	if !errors.As(err, &r) {
		return err
	}
	return fmt.Errorf("the S3 server says %s (%d): %w%s", r.Code, r.StatusCode, err, advice(r))
}

func advice(r minio.ErrorResponse) string {
	switch r.Code {
	case minio.NoSuchBucket:
		return "; make the bucket, or mend files.url"
	case "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken":
		return "; check files.access_key and files.secret_key"
	case minio.AccessDenied:
		return "; allow the keys to list the bucket and its multipart uploads, and to get, put and delete objects"
	case minio.AuthorizationHeaderMalformed, minio.InvalidRegion, "PermanentRedirect":
		return fmt.Sprintf("; say the bucket's region in files.url (region=%s)", r.Region)
	case "RequestTimeTooSkewed":
		return "; set this machine's clock"
	}
	return ""
}
