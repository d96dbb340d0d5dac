package examples

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	firstSecret  = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="
	secondSecret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	otherSecret  = "whsec_//79/Pv6+fj39vX08/Lx8O/u7ezr6uno5+bl5OPi4eA="
	// patience bounds every wait; it is long because many receivers share few cores.
	patience = 15 * time.Second
)

// message is a callback. The tests sign by themselves: the receivers stand alone, and so does what drives them.
type message struct {
	id, body string
	at       time.Time
	headers  http.Header
}

// callback is a message as Ringback sends it, signed by the first secret now.
func callback(id, job string, sequence int, typ string) message {
	body := fmt.Sprintf(`{"id":%q,"object":"event","type":%q,"sequence":%d,"data":{"id":%q,"object":{"n":9007199254740993}}}`, id, typ, sequence, job)
	return signed(id, body, time.Now(), firstSecret)
}

func signed(id, body string, at time.Time, secrets ...string) message {
	m := message{id: id, body: body, at: at, headers: http.Header{}}
	m.headers.Set("Webhook-Id", id)
	m.headers.Set("Webhook-Timestamp", strconv.FormatInt(at.Unix(), 10))
	return m.signature(secrets...)
}

// signature replaces the signatures by one of each secret; what is no secret goes in as it stands.
func (m message) signature(secrets ...string) message {
	var all []string
	for _, s := range secrets {
		if key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(s, "whsec_")); err == nil && strings.HasPrefix(s, "whsec_") {
			mac := hmac.New(sha256.New, key)
			fmt.Fprintf(mac, "%s.%d.%s", m.id, m.at.Unix(), m.body)
			s = "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
		}
		all = append(all, s)
	}
	return m.with("Webhook-Signature", strings.Join(all, " "))
}

// with sets a header; "" takes it away.
func (m message) with(name, value string) message {
	m.headers = m.headers.Clone()
	m.headers.Set(name, value)
	if value == "" {
		m.headers.Del(name)
	}
	return m
}

// try posts a message and gives the status.
func (p *process) try(method string, m message) (int, error) {
	req, err := http.NewRequest(method, p.url+"/hook", strings.NewReader(m.body))
	if err != nil {
		return 0, err
	}
	req.Header = m.headers.Clone()
	res, err := p.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode, nil
}

// post is try for a receiver that has to answer.
func (p *process) post(m message) int {
	p.t.Helper()
	status, err := p.try(http.MethodPost, m)
	require.NoError(p.t, err)
	return status
}

// delivers posts a message that has to be taken.
func (p *process) delivers(m message) {
	p.t.Helper()
	require.Equal(p.t, http.StatusNoContent, p.post(m), m.id)
}
