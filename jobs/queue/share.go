package queue

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// shareLease is how long the others keep what a silent process holds. As long as a dead one's calls are not done at
// the provider, and as long as a hung one still makes some, there may be that many more than the limit after it.
const shareLease = 15 * time.Second

// shareKey begins the keys of limits; the limit's name follows.
const shareKey = "ringback:share:"

// longName is the longest name, in bytes, that stands in a key as it is. Model names come from clients.
const longName = 200

// SharerOptions says where limits are shared, and by whom.
type SharerOptions struct {
	// Redis is as in Options, and must be set: within one process there is nothing to share.
	Redis string
	// Process is this process among all that share: an ID that no other one has or had.
	Process string
}

// ShareAsk is what this process has and wants of a limit. All fields are totals or states, none is a step.
type ShareAsk struct {
	Limit int // calls in flight, of all processes together
	Held  int // calls that may be in flight here until the answer comes
	Want  int // calls that would be in flight here, were there slots for them
	Known int // processes at the last exchange, this one included; 0: none lately

	Shut, Down time.Duration // for how long the provider asked to wait; for how long nobody was there

	RequestRate, RequestsUsed, RequestsNeed        float64 // a second, of all; used here in all; wanted now
	TokenRate, TokensUsed, TokensNeed, TokensLeast float64 // so for tokens; what one call uses
}

// Share is what this process may use of a limit until its next exchange.
type Share struct {
	Slots int // calls in flight; where there are more, none may start
	Known int // processes, this one included

	Shut, Down time.Duration // for how long the provider asked any process to wait; nobody was there for another

	RequestsGranted, TokensGranted float64       // given to this process in all
	RequestsIn, TokensIn           time.Duration // when more may come
}

// Sharer divides limits among the processes of one Redis, each as if all were one process: nobody has more than another
// who wants more, and what nobody else wants is had by who does. One script of Redis does it, by Redis's clock, so that
// what all hold is never more than the limit; only after Redis was wiped may it be, for what was in flight then.
// Safe for many goroutines at once.
type Sharer struct {
	redis   *redis.Client
	process string
	lease   time.Duration
	turn    atomic.Uint64
}

// OpenSharer prepares a Sharer without connecting: Redis may come later. Its connections are its own, so that a process
// that stops can give back what it holds after its queue has ended.
func OpenSharer(opt SharerOptions) (*Sharer, error) {
	if opt.Redis == "" || opt.Process == "" {
		return nil, errors.New("queue: limits are shared through a Redis, by processes with IDs: set Redis and Process")
	}
	client, _, err := connect(opt.Redis)
	if err != nil {
		return nil, err
	}
	return &Sharer{redis: client, process: opt.Process, lease: shareLease}, nil
}

// Close ends the connections. What the process still holds is free after 15 s.
func (s *Sharer) Close() error { return s.redis.Close() }

//go:embed share.lua
var shareText string

// Share makes one exchange about the limit of that name, the name of a provider and a model. ctx bounds it. After an
// error the ask may have been heard or not; the next one sets it right.
func (s *Sharer) Share(ctx context.Context, name string, ask ShareAsk) (Share, error) {
	answer, err := redis.NewScript(shareText).Run(ctx, s.redis, []string{keyOf(name)}, s.args(ask)...).StringSlice()
	if err != nil {
		return Share{}, fmt.Errorf("queue: share a limit: %w", err)
	}
	return shareOf(strings.Fields(strings.Join(answer, " ")))
}

func keyOf(name string) string {
	if len(name) > longName {
		sum := sha256.Sum256([]byte(name))
		name = hex.EncodeToString(sum[:])
	}
	return shareKey + name
}

// args are in the order in which the script reads them.
func (s *Sharer) args(ask ShareAsk) []any {
	return []any{
		s.process, s.turn.Add(1), s.lease.Milliseconds(), ask.Limit, ask.Held, ask.Want, ask.Known,
		milliseconds(ask.Shut), milliseconds(ask.Down),
		ask.RequestRate, ask.RequestsUsed, ask.RequestsNeed,
		ask.TokenRate, ask.TokensUsed, ask.TokensNeed, ask.TokensLeast,
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / 1e6 }

func shareOf(fields []string) (Share, error) {
	var n [8]float64
	if len(fields) != len(n) {
		return Share{}, fmt.Errorf("queue: share a limit: Redis answered %d numbers, not %d", len(fields), len(n))
	}
	for i, field := range fields {
		var err error
		if n[i], err = strconv.ParseFloat(field, 64); err != nil {
			return Share{}, fmt.Errorf("queue: share a limit: Redis answered what is no number: %w", err)
		}
	}
	return Share{
		Slots: int(n[0]), Known: int(n[1]), Shut: duration(n[2]), Down: duration(n[3]),
		RequestsGranted: n[4], RequestsIn: duration(n[5]), TokensGranted: n[6], TokensIn: duration(n[7]),
	}, nil
}

func duration(milliseconds float64) time.Duration { return time.Duration(milliseconds * 1e6) }
