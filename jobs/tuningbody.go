package jobs

import (
	"strings"

	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/rawjson"
)

// mostMetadata is how many pairs of metadata OpenAI accepts.
const mostMetadata = 16

// markKey is the key of the pair by which a job is found at its provider.
const markKey = "ringback_job"

// tuningBody is the submission as it goes to the provider: its files under the provider's IDs, and this job's ID in the
// metadata, by which the job is found again; a pair of the client's under that key does not go along. All else stays byte
// for byte.
func (j *Job) tuningBody(body []byte) []byte {
	root := gjson.ParseBytes(body)
	mark := `"` + markKey + `":` + string(encode(j.ID))
	out := rawjson.Edit(body, root, func(key string, value gjson.Result) (string, bool) {
		switch {
		case key == "training_file":
			return `"training_file":` + string(encode(j.Remote.TrainingFile)), true
		case key == "validation_file" && value.Type != gjson.Null:
			return `"validation_file":` + string(encode(j.Remote.ValidationFile)), true
		case key == "metadata" && value.IsObject():
			return `"metadata":` + marked(value, mark), true
		case key == "metadata":
			return `"metadata":{` + mark + `}`, true
		}
		return "", true
	})
	if root.Get("metadata").Exists() {
		return out
	}
	end := strings.LastIndexByte(string(out), '}')
	return append(append(out[:end:end], `,"metadata":{`+mark+`}`...), out[end:]...)
}

// marked adds a pair to the client's metadata. Where there is no room for one, the job is found by its training file.
func marked(metadata gjson.Result, mark string) string {
	raw := metadata.Raw
	if _, taken := metadata.Map()[markKey]; taken {
		raw = string(rawjson.Edit([]byte(raw), gjson.Parse(raw), func(key string, _ gjson.Result) (string, bool) {
			return "", key != markKey
		}))
	}
	switch n := len(gjson.Parse(raw).Map()); {
	case n == 0:
		return `{` + mark + `}`
	case n >= mostMetadata:
		return raw
	}
	return strings.Replace(raw, "{", "{"+mark+",", 1)
}
