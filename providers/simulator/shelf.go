package simulator

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// A shelf keeps the records of one kind, in memory and each as a JSON file that
// is whole at any instant. It is safe for concurrent use; what it gives out are
// copies.
type shelf[T any] struct {
	// place is the folder of the records, made when it is asked for.
	place func() (string, error)

	mu      sync.RWMutex
	records map[string]kept[T]
	last    int64
}

// kept is a record and its place in the order of creation.
type kept[T any] struct {
	Seq    int64 `json:"seq"`
	Record T     `json:"record"`
}

func newShelf[T any](place func() (string, error)) *shelf[T] {
	return &shelf[T]{place: place, records: map[string]kept[T]{}}
}

const recordSuffix = ".json"

// load reads what an earlier simulator kept.
func (s *shelf[T]) load() error {
	dir, err := s.place()
	if err != nil {
		return err
	}
	names, err := filepath.Glob(filepath.Join(dir, "*"+recordSuffix))
	if err != nil {
		return fmt.Errorf("list the records in %s: %w", dir, err)
	}
	for _, name := range names {
		raw, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("read a record: %w", err)
		}
		var k kept[T]
		if err := json.Unmarshal(raw, &k); err != nil {
			return fmt.Errorf("read the record %s: %w", name, err)
		}
		s.records[strings.TrimSuffix(filepath.Base(name), recordSuffix)] = k
		s.last = max(s.last, k.Seq)
	}
	return nil
}

func (s *shelf[T]) get(id string) (T, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	k, found := s.records[id]
	return k.Record, found
}

// find gives the first record that fits, in no order.
func (s *shelf[T]) find(fits func(*T) bool) (T, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, k := range s.records {
		if fits(&k.Record) {
			return k.Record, true
		}
	}
	var none T
	return none, false
}

// all are the records, newest first.
func (s *shelf[T]) all() []T {
	s.mu.RLock()
	defer s.mu.RUnlock()
	list := make([]kept[T], 0, len(s.records))
	for _, k := range s.records {
		list = append(list, k)
	}
	slices.SortFunc(list, func(a, b kept[T]) int { return cmp.Compare(b.Seq, a.Seq) })
	records := make([]T, len(list))
	for i, k := range list {
		records[i] = k.Record
	}
	return records
}

// put adds a record or takes the place of one with this ID.
func (s *shelf[T]) put(id string, record T) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := kept[T]{s.last + 1, record}
	if old, found := s.records[id]; found {
		k.Seq = old.Seq
	}
	return s.write(id, k)
}

// change lets edit alter a record; what it leaves is kept unless it refuses.
func (s *shelf[T]) change(id string, edit func(*T) *problem) (T, *problem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.records[id]
	if p := edit(&k.Record); p != nil {
		return k.Record, p
	}
	if err := s.write(id, k); err != nil {
		return k.Record, storageFailed(err)
	}
	return k.Record, nil
}

func (s *shelf[T]) write(id string, k kept[T]) error {
	dir, err := s.place()
	if err != nil {
		return err
	}
	raw, err := marshal(k)
	if err != nil {
		return err
	}
	name := filepath.Join(dir, id+recordSuffix)
	if err := os.WriteFile(name+".new", raw, 0o600); err != nil {
		return fmt.Errorf("write a record: %w", err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		return fmt.Errorf("keep a record: %w", err)
	}
	s.records[id] = k
	s.last = max(s.last, k.Seq)
	return nil
}

// remove tells whether there was such a record.
func (s *shelf[T]) remove(id string) (found bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, found = s.records[id]; !found {
		return false, nil
	}
	dir, err := s.place()
	if err != nil {
		return true, err
	}
	if err := os.Remove(filepath.Join(dir, id+recordSuffix)); err != nil {
		return true, fmt.Errorf("remove a record: %w", err)
	}
	delete(s.records, id)
	return true, nil
}

// marshal is JSON without the escapes that only HTML needs: raw fields stay as
// they came but for their white space.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("write JSON: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
