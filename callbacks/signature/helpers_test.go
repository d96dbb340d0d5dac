package signature

import (
	"encoding/base64"
)

// testSecret signs what these tests send.
const testSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// testBody is what they send.
const testBody = `{"id":"evt_1","object":"event","type":"batch.completed"}`

// secretOf is a secret of n bytes.
func secretOf(n int) string {
	return secretPrefix + base64.StdEncoding.EncodeToString(make([]byte, n))
}
