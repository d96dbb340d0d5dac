package jobs

import (
	"context"
	"errors"
)

// undo removes bytes whose row could not be kept, and gives back why, with what went wrong here. Where nobody can tell
// whether the row stands, they stay: it may name them. If it does not, they go with the orphans.
func undo(ctx context.Context, blobs Blobs, err error, keys ...string) error {
	if errors.Is(err, ErrUnknown) {
		return err
	}
	errs := []error{err}
	for _, key := range keys {
		errs = append(errs, blobs.Remove(context.WithoutCancel(ctx), key))
	}
	return errors.Join(errs...)
}

// blobsOf are the keys of those files that there are.
func blobsOf(files ...*File) (keys []string) {
	for _, f := range files {
		if f != nil {
			keys = append(keys, f.Blob)
		}
	}
	return keys
}
