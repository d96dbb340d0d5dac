package simulator

import (
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A video is one submission; what has become of it follows from the clock.
type video struct {
	id, key       string // key is its Idempotency-Key, or empty
	model, prompt string
	seconds, size string
	created       time.Time
	fails         bool
}

// videos are kept in memory until they are deleted.
type videos struct {
	takes   time.Duration // from a video's submission to its end
	created atomic.Int64

	mu    sync.Mutex
	order []string // IDs, oldest first
	byID  map[string]video
	byKey map[string]string // Idempotency-Key -> ID
}

func newVideos(takes time.Duration) *videos {
	if takes <= 0 {
		takes = time.Second
	}
	return &videos{takes: takes, byID: map[string]video{}, byKey: map[string]string{}}
}

// create keeps v, or answers the one that v's key has created before, whatever v
// asks for.
func (s *videos) create(v video) video {
	s.mu.Lock()
	defer s.mu.Unlock()
	if first, found := s.byID[s.byKey[v.key]]; found {
		return first
	}
	s.order = append(s.order, v.id)
	s.byID[v.id] = v
	s.created.Add(1)
	if v.key != "" {
		s.byKey[v.key] = v.id
	}
	return v
}

func (s *videos) find(id string) (video, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, found := s.byID[id]
	return v, found
}

// remove frees the video's key too.
func (s *videos) remove(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, found := s.byID[id]
	if !found {
		return false
	}
	delete(s.byKey, v.key)
	delete(s.byID, id)
	s.order = slices.DeleteFunc(s.order, func(other string) bool { return other == id })
	return true
}

// page gives up to limit videos behind the one named after, or the first ones.
func (s *videos) page(after string, ascending bool, limit int) (page []video, more, found bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := slices.Clone(s.order)
	if !ascending {
		slices.Reverse(ids)
	}
	if after != "" {
		i := slices.Index(ids, after)
		if i < 0 {
			return nil, false, false
		}
		ids = ids[i+1:]
	}
	for _, id := range ids[:min(limit, len(ids))] {
		page = append(page, s.byID[id])
	}
	return page, len(ids) > limit, true
}

// state is queued for the first tenth of the time, then in_progress.
func (s *videos) state(v video, now time.Time) (status string, progress int) {
	switch passed := now.Sub(v.created); {
	case passed >= s.takes && v.fails:
		return "failed", 99
	case passed >= s.takes:
		return "completed", 100
	case passed < s.takes/10:
		return "queued", 0
	default:
		return "in_progress", int(100 * passed / s.takes)
	}
}

func (s *videos) appendTo(dst []byte, v video, now time.Time) []byte {
	status, progress := s.state(v, now)
	dst = appendString(append(dst, `{"id":`...), v.id)
	dst = append(append(dst, `,"object":"video","status":"`...), status...)
	dst = append(append(dst, `","model":"`...), v.model...)
	dst = appendInt(dst, `","progress":`, progress)
	dst = appendInt(dst, `,"created_at":`, v.created.Unix())
	if status == "completed" {
		dst = appendInt(dst, `,"completed_at":`, v.created.Add(s.takes).Unix())
	} else {
		dst = append(dst, `,"completed_at":null`...)
	}
	dst = appendString(append(dst, `,"expires_at":null,"prompt":`...), v.prompt)
	dst = appendString(append(dst, `,"remixed_from_video_id":null,"seconds":`...), v.seconds)
	dst = appendString(append(dst, `,"size":`...), v.size)
	if status == "failed" {
		return append(dst, `,"error":{"code":"generation_failed","message":"The video could not be generated (simulated)."}}`...)
	}
	return append(dst, `,"error":null}`...)
}

// frameBytes is how long a second of a video's file is.
const frameBytes = 32 << 10

// appendFile writes an MP4 of an ftyp and an mdat box (ISO/IEC 14496-12, section
// 4) whose bytes depend on the model and the prompt alone.
func (v video) appendFile(dst []byte) []byte {
	var seconds int
	_ = number(v.seconds, 1, maxVideoSeconds, &seconds) // askVideo has judged it
	be := binary.BigEndian
	dst = append(be.AppendUint32(dst, 24), "ftypisom\x00\x00\x02\x00isommp41"...)
	dst = append(be.AppendUint32(dst, uint32(8+seconds*frameBytes)), "mdat"...)
	state := hash(hash(hashStart, v.model), v.prompt)
	for range seconds * frameBytes / 8 {
		state = mix(state + 1)
		dst = be.AppendUint64(dst, state)
	}
	return dst
}
