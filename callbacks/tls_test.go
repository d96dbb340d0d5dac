package callbacks

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// authority issues certificates; its own stands in a PEM file.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	a := &authority{cert: cert, key: key, file: filepath.Join(t.TempDir(), "ca.pem")}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	require.NoError(t, os.WriteFile(a.file, text, 0o600))
	return a
}

func (a *authority) issue(t *testing.T, name string, until time.Time) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), DNSNames: []string{name}, NotBefore: until.Add(-48 * time.Hour), NotAfter: until,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// selfSigned is a certificate that vouches for itself.
func selfSigned(t *testing.T, name string, until time.Time) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(3), DNSNames: []string{name}, NotAfter: until,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// bySNI shows the good certificate to those who ask for a name, and the other to everybody else.
func bySNI(good, other tls.Certificate, name string) *tls.Config {
	return &tls.Config{GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if h.ServerName == name {
			return &good, nil
		}
		return &other, nil
	}}
}

// receiveTLS starts a receiver behind TLS; http2 says whether it offers HTTP/2.
func receiveTLS(t *testing.T, config *tls.Config, http2 bool) *receiver {
	t.Helper()
	r := &receiver{}
	startTLS(t, r, nil, config, http2)
	return r
}

func startTLS(t *testing.T, r *receiver, answer http.HandlerFunc, config *tls.Config, http2 bool) {
	t.Helper()
	r.Server = httptest.NewUnstartedServer(r.keep(answer))
	r.TLS, r.EnableHTTP2 = config, http2
	r.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes are the subject
	r.StartTLS()
	t.Cleanup(r.Close)
}

// S12: only a certificate that holds, over TLS 1.2 or newer, is spoken to; everything else is retried.
func TestTLS(t *testing.T) {
	t.Parallel()
	ca, stranger, tomorrow := newAuthority(t), newAuthority(t), time.Now().Add(24*time.Hour)
	good := ca.issue(t, "receiver.test", tomorrow)
	for name, c := range map[string]struct {
		config *tls.Config
		class  Class
	}{
		"good":         {&tls.Config{Certificates: []tls.Certificate{good}}, ""},
		"TLS 1.2":      {&tls.Config{Certificates: []tls.Certificate{good}, MaxVersion: tls.VersionTLS12}, ""},
		"SNI":          {bySNI(good, ca.issue(t, "other.test", tomorrow), "receiver.test"), ""},
		"SNI mismatch": {bySNI(good, ca.issue(t, "other.test", tomorrow), "elsewhere.test"), ClassTLS},
		"SNI unknown": {&tls.Config{GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
			return nil, errors.New("no such name: " + h.ServerName)
		}}, ClassTLS},
		"not valid yet":                     {&tls.Config{Certificates: []tls.Certificate{ca.issue(t, "receiver.test", tomorrow.Add(72*time.Hour))}}, ClassTLS},
		"of an authority that nobody knows": {&tls.Config{Certificates: []tls.Certificate{stranger.issue(t, "receiver.test", tomorrow)}}, ClassTLS},
		"expired":                           {&tls.Config{Certificates: []tls.Certificate{ca.issue(t, "receiver.test", time.Now().Add(-time.Hour))}}, ClassTLS},
		"wrong host":                        {&tls.Config{Certificates: []tls.Certificate{ca.issue(t, "other.test", tomorrow)}}, ClassTLS},
		"self-signed":                       {&tls.Config{Certificates: []tls.Certificate{selfSigned(t, "receiver.test", tomorrow)}}, ClassTLS},
		"TLS 1.0":                           {&tls.Config{Certificates: []tls.Certificate{good}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10}, ClassTLS},
		"TLS 1.1":                           {&tls.Config{Certificates: []tls.Certificate{good}, MinVersion: tls.VersionTLS11, MaxVersion: tls.VersionTLS11}, ClassTLS},
		"handshake refused": {&tls.Config{Certificates: []tls.Certificate{good}, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return nil, x509.UnknownAuthorityError{}
		}}, ClassTLS},
		"asks for a client's certificate": {&tls.Config{Certificates: []tls.Certificate{good}, ClientAuth: tls.RequireAnyClientCert}, ClassTLS},
	} {
		t.Run("S12 "+name, func(t *testing.T) {
			t.Parallel()
			r := receiveTLS(t, c.config, false)
			dns := resolver(t, names(map[string][]string{"receiver.test": {"127.0.0.1"}}))
			p := poster(t, ClientOptions{Rules: openRules(), Resolver: dns, CAFile: ca.file})
			got := postOnce(t.Context(), p, withTimeout(claim("https://receiver.test"+r.URL[strings.LastIndex(r.URL, ":"):]), 3*time.Second), 1)
			require.Equal(t, c.class, got.ErrorClass)
			if c.class == "" {
				require.Equal(t, 204, got.StatusCode)
				require.Contains(t, string(got.Timings), `"tls":`)
				return
			}
			require.Equal(t, Waiting, steady().Decide(got, 1, time.Now()).State)
			require.Empty(t, r.messages())
		})
	}
}

func TestOwnAuthorityIsNeededForOwnCertificates(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	r := receiveTLS(t, &tls.Config{Certificates: []tls.Certificate{ca.issue(t, "receiver.test", time.Now().Add(time.Hour))}}, false)
	dns := resolver(t, names(map[string][]string{"receiver.test": {"127.0.0.1"}}))
	p := poster(t, ClientOptions{Rules: openRules(), Resolver: dns})
	require.Equal(t, ClassTLS, post(t, p, "https://receiver.test"+r.URL[strings.LastIndex(r.URL, ":"):]).ErrorClass)
}

func TestCAFileMustHoldACertificate(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty.pem")
	require.NoError(t, os.WriteFile(empty, []byte("nothing"), 0o600))
	for _, file := range []string{empty, filepath.Join(t.TempDir(), "absent.pem")} {
		_, err := NewClient(ClientOptions{CAFile: file})
		require.ErrorContains(t, err, "callbacks.ca_file")
	}
}

func TestHTTP2IsSpokenWhereOffered(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	r := receiveTLS(t, &tls.Config{Certificates: []tls.Certificate{ca.issue(t, "receiver.test", time.Now().Add(time.Hour))}}, true)
	dns := resolver(t, names(map[string][]string{"receiver.test": {"127.0.0.1"}}))
	p := poster(t, ClientOptions{Rules: openRules(), Resolver: dns, CAFile: ca.file})
	for n := range 5 {
		got := postOnce(t.Context(), p, claim("https://receiver.test"+r.URL[strings.LastIndex(r.URL, ":"):]), n+1)
		require.Equal(t, 204, got.StatusCode, got.ErrorClass)
	}
	for _, m := range r.messages() {
		require.Equal(t, "HTTP/2.0", m.Proto)
		requireSigned(t, m, time.Now())
	}
}
