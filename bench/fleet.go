package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/ringback/ringback/testservers"
)

// fleetWorkers is how many workers a fleet has beside its API, where a part does not say otherwise.
const fleetWorkers = 2

// How PostgreSQL is measured alone.
const (
	commitClients = 16
	commitFor     = 2 * time.Second
)

// fleet is the servers that Ringback's processes share: PostgreSQL, Redis and S3, started for this run. PostgreSQL waits for the
// disk at each commit, as it does by default.
type fleet struct {
	postgres *testservers.Postgres
	redis    *testservers.Redis
	s3       *testservers.S3
	commits  float64 // a second, that PostgreSQL makes with the machine to itself
}

func startFleet(ctx context.Context) (_ *fleet, err error) {
	f := &fleet{}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.stop())
		}
	}()
	if f.postgres, err = testservers.StartPostgres("fsync=on", "shared_buffers=128MB"); err != nil {
		return nil, err
	}
	if f.redis, err = testservers.StartRedis(); err != nil {
		return nil, err
	}
	if f.s3, err = testservers.StartS3(); err != nil {
		return nil, err
	}
	f.commits, err = f.postgres.CommitRate(ctx, commitClients, commitFor)
	return f, err
}

func (f *fleet) stop() (err error) {
	if f.postgres != nil {
		err = f.postgres.Stop()
	}
	if f.redis != nil {
		err = errors.Join(err, f.redis.Stop())
	}
	if f.s3 != nil {
		err = errors.Join(err, f.s3.Stop())
	}
	return err
}

// settings are those of the n-th Ringback over these servers: a database and a prefix of its own. Redis keeps nothing that
// another one needs.
func (f *fleet) settings(n int) ([]string, error) {
	dsn, err := f.postgres.NewDatabase()
	if err != nil {
		return nil, err
	}
	return []string{
		"store.dsn=" + dsn, "queue.redis=" + f.redis.URL(), "secrets.key=" + base64.StdEncoding.EncodeToString(make([]byte, 32)),
		"files.url=" + f.s3.URL(fmt.Sprintf("%s/bench-%d", testservers.Bucket, n)), "files.access_key=" + f.s3.AccessKey, "files.secret_key=" + f.s3.SecretKey,
	}, f.redis.Flush()
}
