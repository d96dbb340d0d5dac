package web

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/jobs"
)

// The limits of metadata (OpenAI's).
const (
	metadataPairs = 16
	metadataKey   = 64
	metadataValue = 512
)

// readMetadata reads an object of strings, or null.
func readMetadata(v gjson.Result) (json.RawMessage, error) {
	if v.Type == gjson.Null {
		return nil, nil
	}
	if !v.IsObject() {
		return nil, typeError("metadata", "an object", v)
	}
	var err error
	pairs := 0
	v.ForEach(func(key, value gjson.Result) bool {
		pairs++
		err = checkPair(key.String(), value)
		return err == nil
	})
	if err == nil && pairs > metadataPairs {
		err = jobs.Errorf(codeTooMany, "metadata", "Invalid 'metadata': too many properties. Expected an object with at most %d properties, but got %d instead.", metadataPairs, pairs)
	}
	if err != nil {
		return nil, err
	}
	var compact bytes.Buffer // white space has no bound of its own
	err = json.Compact(&compact, []byte(v.Raw))
	return compact.Bytes(), err
}

func checkPair(key string, value gjson.Result) error {
	name := "metadata." + key
	if n := utf8.RuneCountInString(key); n > metadataKey {
		return jobs.Errorf(codeTooLong, "metadata", "Invalid property name in 'metadata': string too long. Expected at most %d characters, but got %d instead.", metadataKey, n)
	}
	if value.Type != gjson.String {
		return typeError(name, "a string", value)
	}
	if n := utf8.RuneCountInString(value.Str); n > metadataValue {
		return jobs.Errorf(codeTooLong, name, "Invalid '%s': string too long. Expected a string with maximum length %d, but got a string with length %d instead.", name, metadataValue, n)
	}
	return nil
}
