package store

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// sealer encrypts what must not stand in the database in clear: AES-256-GCM, with the key's ID and the row as
// additional data, so that a sealed value opens only in its own place.
type sealer struct {
	aead cipher.AEAD
	id   [4]byte // which key sealed; the first bytes of its SHA-256
}

const keyBytes = 32

// newSealer uses the key, or the one in the file, which it makes (mode 0600) when there is none.
func newSealer(key []byte, path string) (*sealer, error) {
	if len(key) == 0 {
		var err error
		if key, err = masterKey(path); err != nil {
			return nil, err
		}
	}
	if len(key) != keyBytes {
		return nil, fmt.Errorf("store: the key for secrets has %d bytes; it must have %d (secrets.key, or %s)", len(key), keyBytes, path)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(key)
	return &sealer{aead: aead, id: [4]byte(sum[:4])}, nil
}

func masterKey(path string) ([]byte, error) {
	key, err := os.ReadFile(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	key = make([]byte, keyBytes)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("store: cannot make the master key: %w", err)
	}
	_, err = f.Write(key)
	return key, errors.Join(err, f.Sync(), f.Close())
}

// seal encrypts plain for one place ("webhooks/default/whk_…"): key ID, nonce, ciphertext.
func (s *sealer) seal(place string, plain []byte) []byte {
	nonce := make([]byte, s.aead.NonceSize())
	_, _ = rand.Read(nonce) // never fails
	out := append(append([]byte{}, s.id[:]...), nonce...)
	return s.aead.Seal(out, nonce, plain, s.data(place))
}

// open decrypts what seal made for the same place.
func (s *sealer) open(place string, sealed []byte) ([]byte, error) {
	n := len(s.id) + s.aead.NonceSize()
	if len(sealed) < n || [4]byte(sealed[:4]) != s.id {
		return nil, fmt.Errorf("store: the secret at %s was sealed with another key; set secrets.key to the one that was used", place)
	}
	plain, err := s.aead.Open(nil, sealed[len(s.id):n], sealed[n:], s.data(place))
	if err != nil {
		return nil, fmt.Errorf("store: the secret at %s does not open: %w", place, err)
	}
	return plain, nil
}

func (s *sealer) data(place string) []byte { return append(append([]byte{}, s.id[:]...), place...) }
