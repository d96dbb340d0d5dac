package history

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Spread is a histogram of durations in buckets that each begin 19 % after the one before: a quantile is at most 9.1 % off,
// from 62.5 µs to four hours. What is shorter or longer counts as the shortest or the longest. Its zero is empty.
//
// Copies share what they have counted so far: add to one of them alone.
type Spread struct {
	buckets []bucket // in order
}

type bucket struct {
	index int
	n     int64
}

const (
	perOctave   = 4  // buckets from a duration to its double: the fourth root of 2 is 1.19
	below       = 4  // octaves below a millisecond
	octaves     = 28 // in all
	bucketCount = perOctave * octaves
)

// bucketOf is the bucket in which a duration counts.
func bucketOf(d time.Duration) int {
	if d <= 0 {
		return 0
	}
	ms := float64(d) / float64(time.Millisecond)
	return min(max(int(perOctave*(math.Log2(ms)+below)), 0), bucketCount-1)
}

// middle is the number of milliseconds that stands for a bucket: the ratio to both of its ends is the same.
func middle(index int) float64 {
	return math.Exp2((float64(index)+0.5)/perOctave - below)
}

// Add counts a duration.
func (s *Spread) Add(d time.Duration) { s.add(bucketOf(d), 1) }

func (s *Spread) add(index int, n int64) {
	at, found := slices.BinarySearchFunc(s.buckets, index, func(b bucket, index int) int { return cmp.Compare(b.index, index) })
	if found {
		s.buckets[at].n += n
		return
	}
	s.buckets = slices.Insert(s.buckets, at, bucket{index, n})
}

// Merge adds all that another one has counted.
func (s *Spread) Merge(other Spread) {
	for _, b := range other.buckets {
		s.add(b.index, b.n)
	}
}

// Clone is a copy that shares nothing.
func (s Spread) Clone() Spread { return Spread{slices.Clone(s.buckets)} }

// Count is how many durations it has counted.
func (s Spread) Count() (n int64) {
	for _, b := range s.buckets {
		n += b.n
	}
	return n
}

// Quantile is the duration in milliseconds that a part p of all (0 to 1) did not exceed; ok is false where there are none.
func (s Spread) Quantile(p float64) (ms float64, ok bool) {
	all := s.Count()
	if all == 0 {
		return 0, false
	}
	rank := min(max(int64(math.Ceil(p*float64(all))), 1), all)
	for _, b := range s.buckets {
		if rank -= b.n; rank <= 0 {
			return middle(b.index), true
		}
	}
	return 0, false
}

// String is the form in which it is stored: "17:250 18:40 ", bucket and count. Two of them one behind the other are both
// together, which is how a database merges them.
func (s Spread) String() string {
	text := make([]byte, 0, 8*len(s.buckets))
	for _, b := range s.buckets {
		text = append(strconv.AppendInt(text, int64(b.index), 10), ':')
		text = append(strconv.AppendInt(text, b.n, 10), ' ')
	}
	return string(text)
}

// ParseSpread reads what String wrote, any number of them one behind the other.
func ParseSpread(text string) (Spread, error) {
	var counts [bucketCount]int64
	for rest := text; rest != ""; {
		var pair string
		pair, rest, _ = strings.Cut(rest, " ")
		index, n, ok := parsePair(pair)
		if !ok {
			return Spread{}, fmt.Errorf("history: %q is no spread", pair)
		}
		counts[index] += n
	}
	var s Spread
	for index, n := range counts {
		if n > 0 {
			s.buckets = append(s.buckets, bucket{index, n})
		}
	}
	return s, nil
}

func parsePair(pair string) (index int, n int64, ok bool) {
	left, right, _ := strings.Cut(pair, ":")
	i, err := strconv.ParseUint(left, 10, 8)
	if err != nil || i >= bucketCount {
		return 0, 0, false
	}
	n, err = strconv.ParseInt(right, 10, 64)
	return int(i), n, err == nil && n > 0
}
