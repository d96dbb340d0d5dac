package store

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseS3(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]S3Options{
		"s3://bucket":                                     {Bucket: "bucket", Prefix: DefaultPrefix},
		"s3://bucket/":                                    {Bucket: "bucket", Prefix: DefaultPrefix},
		"s3://my.bucket-1/a/b/?region=eu-west-1":          {Bucket: "my.bucket-1", Prefix: "a/b", Region: "eu-west-1"},
		"s3://bucket/p?endpoint=http://127.0.0.1:9000":    {Bucket: "bucket", Prefix: "p", Endpoint: "http://127.0.0.1:9000"},
		"s3://bucket/p?endpoint=http%3A%2F%2F[::1]:9000/": {Bucket: "bucket", Prefix: "p", Endpoint: "http://[::1]:9000"},
		"s3://bucket/a%20b?endpoint=https://s3.example&addressing=virtual": {
			Bucket: "bucket", Prefix: "a b", Endpoint: "https://s3.example", VirtualHost: true,
		},
	} {
		got, err := ParseS3(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
}

func TestParseS3SaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                     "is not a bucket's URL",
		"http://bucket/p":                      "is not a bucket's URL",
		"s3:bucket":                            "is not a bucket's URL",
		"s3://bucket/%zz":                      "is not a bucket's URL",
		"s3://bucket/p#canary":                 "is not a bucket's URL",
		"s3:///p":                              "is not the name of a bucket",
		"s3://B/p":                             "is not the name of a bucket",
		"s3://key:canary@bucket/p":             "carries keys",
		"s3://bucket/a//b":                     "is not a prefix",
		"s3://bucket/../b":                     "is not a prefix",
		"s3://bucket?secret=canary":            "has a secret after the ?",
		"s3://bucket?region=a&region=b":        "says region twice",
		"s3://bucket?%zz":                      "no list of NAME=VALUE",
		"s3://bucket?addressing=dns":           "write path or virtual",
		"s3://bucket?addressing=virtual":       "without an endpoint",
		"s3://bucket?endpoint=host:9000":       "has an endpoint that is not",
		"s3://bucket?endpoint=ftp://host":      "has an endpoint that is not",
		"s3://bucket?endpoint=http://host/s3":  "has an endpoint that is not",
		"s3://b-1?endpoint=http://k:canary@h":  "has an endpoint that carries keys",
		"s3://bucket?endpoint=http://h:canary": "has an endpoint that is not",
	} {
		_, err := ParseS3(text)
		require.ErrorContains(t, err, want, text)
		require.NotContains(t, err.Error(), "canary", text)
	}
}
