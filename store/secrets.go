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
	"path/filepath"
)

// sealer encrypts what must not stand in the database in clear: AES-256-GCM, with the key's ID and the row as
// additional data, so that a sealed value opens only in its own place.
type sealer struct {
	aead cipher.AEAD
	id   [4]byte // which key sealed; the first bytes of its SHA-256
}

const keyBytes = 32

// newSealer uses the key, or the one in the file. For a new database it makes the file (mode 0600); beside an old one a
// missing file is an error, because what is sealed there would never open again.
func newSealer(key []byte, path string, fresh bool) (*sealer, error) {
	if len(key) == 0 {
		var err error
		if key, err = masterKey(path, fresh); err != nil {
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

func masterKey(path string, fresh bool) ([]byte, error) {
	key, err := os.ReadFile(path)
	switch {
	case !errors.Is(err, fs.ErrNotExist):
		return key, err
	case !fresh:
		return nil, fmt.Errorf("store: %s is missing, and the database's secrets were sealed with it: restore it, or set secrets.key to the key that was used", path)
	}
	key = make([]byte, keyBytes)
	_, _ = rand.Read(key) // never fails
	if err := writeWhole(path, key); err != nil {
		return nil, fmt.Errorf("store: cannot make the master key: %w", err)
	}
	return key, nil
}

// writeWhole makes a file that is there whole or not at all, whatever ends the process meanwhile.
func writeWhole(path string, content []byte) error {
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
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
