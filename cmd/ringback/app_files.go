package main

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/ringback/ringback/store"
)

// openFiles opens the bucket of files.url, or the folder in data_dir where there is none. log may be nil.
func openFiles(ctx context.Context, cfg Config, log *slog.Logger) (store.Files, error) {
	if cfg.Files.URL == "" {
		open := store.OpenFolder
		if cfg.Store.DSN != "" {
			open = store.OpenFolderBeside // others may be writing there
		}
		folder, err := open(filepath.Join(cfg.DataDir, store.FilesDir))
		if err != nil {
			return nil, err
		}
		return folder, nil
	}
	o, err := cfg.Files.s3()
	if err != nil {
		return nil, fmt.Errorf("files.url: %w", err)
	}
	o.Log = log
	bucket, err := store.OpenS3(ctx, o)
	if err != nil {
		return nil, err
	}
	return bucket, nil
}

// s3 reads the URL, and adds the keys.
func (c FilesConfig) s3() (store.S3Options, error) {
	o, err := store.ParseS3(c.URL.Reveal())
	o.AccessKey, o.SecretKey = c.AccessKey.Reveal(), c.SecretKey.Reveal()
	return o, err
}

// lately asks at most once in a few seconds: a probe that many send costs no more than one.
type lately struct {
	ask func(context.Context) error

	mu  sync.Mutex
	at  time.Time
	err error
}

// latelyFor is how old an answer may be.
const latelyFor = 5 * time.Second

// Answer gives the last answer, or a new one. Who asks meanwhile waits for it.
func (l *lately) Answer(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.at.IsZero() && time.Since(l.at) < latelyFor {
		return l.err
	}
	err := l.ask(ctx)
	if ctx.Err() == nil { // else it says nothing about what was asked
		l.at, l.err = time.Now(), err
	}
	return err
}
