package store

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"
)

// rolePatience bounds a question to the machine's metadata service: where there is none, nobody answers.
const rolePatience = 5 * time.Second

// s3Keys finds the keys: those that are set, those of the environment, those of the role that the machine, the container
// or the pod has. A role's keys are renewed in time.
func s3Keys(ctx context.Context, o S3Options) (*credentials.Credentials, error) {
	if (o.AccessKey == "") != (o.SecretKey == "") {
		return nil, errors.New("store: one of the two S3 keys is missing: set files.access_key and files.secret_key, or neither")
	}
	if o.AccessKey != "" {
		return credentials.NewStaticV4(o.AccessKey, o.SecretKey, ""), nil
	}
	client := &http.Client{Timeout: rolePatience}
	keys := credentials.NewChainCredentials([]credentials.Provider{&credentials.EnvAWS{}, &credentials.IAM{Client: client}})
	found, err := keys.GetWithContext(&credentials.CredContext{Client: client, Context: ctx})
	if err != nil || found.AccessKeyID == "" {
		return nil, errors.New("store: found no keys for S3: set files.access_key and files.secret_key, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment, or give the machine a role")
	}
	return keys, nil
}
