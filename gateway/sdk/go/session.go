package fanfare

import (
	"context"
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"
)

// probeAfter is how long the answer to our ping may take.
var probeAfter = 10 * time.Second

// reasonAfter is how long a write that failed waits for the reason to be read.
const reasonAfter = time.Second

// outgoingMax is how many frames may wait to be written; whoever wants more has lost touch.
const outgoingMax = 10_000

// kind is how a connection is made.
type kind string

const (
	kindSocket kind = "websocket"
	kindStream kind = "sse"
)

// Welcome is what the server says of itself and of us when a connection opens.
type Welcome struct {
	Connection string   `json:"connection"`
	Node       string   `json:"node"`
	User       string   `json:"user"`
	Degraded   string   `json:"degraded"`
	Version    string   `json:"version"`
	PingMS     int64    `json:"ping_ms"`
	Partitions int      `json:"partitions"`
	Features   []string `json:"features"`
	Limits     Limits   `json:"limits"`
}

// Limits are what the server allows on one connection.
type Limits struct {
	FramesPerSecond int `json:"frames_per_second"`
	Subscriptions   int `json:"subscriptions"`
	FrameBytes      int `json:"frame_bytes"`
}

// readWelcome reads the frame; what it lacks has the contract's defaults.
func readWelcome(f frame) Welcome {
	welcome := Welcome{
		PingMS:     25_000,
		Partitions: 1,
		Limits:     Limits{FramesPerSecond: 50, Subscriptions: 128},
	}
	f.read(&welcome)
	return welcome
}

// outgoing makes a frame at the moment of writing; nil: there is none any more.
type outgoing func() any

// session reads, writes and watches one connection.
type session struct {
	kind     kind
	hear     func(*session, frame)
	welcome  Welcome
	welcomed chan struct{}
	ended    chan struct{}
	// heard is when the server was heard last, and pingEvery after which silence to ask (0: as the
	// server says), in nanoseconds.
	heard, pingEvery atomic.Int64

	mu       sync.Mutex
	why      *closed
	degraded string
	bye      *bye
	queue    []outgoing
	busy     bool
	filled   chan struct{}

	wire   wire
	cancel context.CancelFunc
	work   sync.WaitGroup
}

func newSession(kind kind, hear func(*session, frame)) *session {
	s := &session{
		kind: kind, hear: hear,
		welcomed: make(chan struct{}), ended: make(chan struct{}), filled: make(chan struct{}, 1),
	}
	s.heard.Store(time.Now().UnixNano())
	return s
}

// start begins to read, write and watch.
func (s *session) start(wire wire) {
	ctx, cancel := context.WithCancel(context.Background())
	s.wire, s.cancel = wire, cancel
	s.work.Add(3)
	go s.reading(ctx)
	go s.writing(ctx)
	go s.watching(ctx)
}

func (s *session) alive() bool {
	select {
	case <-s.ended:
		return false
	default:
		return true
	}
}

// send queues a frame.
func (s *session) send(frame any) { s.queueUp(func() any { return frame }, false) }

// sendFirst queues a frame before all that wait.
func (s *session) sendFirst(frame any) { s.queueUp(func() any { return frame }, true) }

func (s *session) queueUp(one outgoing, first bool) {
	s.mu.Lock()
	full := len(s.queue) >= outgoingMax
	switch {
	case full:
	case first:
		s.queue = append([]outgoing{one}, s.queue...)
	default:
		s.queue = append(s.queue, one)
	}
	s.mu.Unlock()
	if full {
		s.end(over(codeLost, "too much waits to be written"))
	}
	poke(s.filled)
}

// end takes it for ended, whatever the other side thinks.
func (s *session) end(why *closed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.why == nil {
		s.why = why
		close(s.ended)
	}
}

// reason returns why it ended.
func (s *session) reason() *closed {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.why
}

// opened waits for the welcome.
func (s *session) opened(ctx context.Context) error {
	select {
	case <-s.welcomed:
		return nil
	case <-s.ended:
		return s.reason()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// lacks returns what the server has lost for now.
func (s *session) lacks() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.degraded
}

func (s *session) setLacks(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.degraded = what
}

// farewell returns the server's wish that we go elsewhere, if it said so.
func (s *session) farewell() *bye {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bye
}

// setFarewell remembers the wish, and returns the one before.
func (s *session) setFarewell(said *bye) *bye {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.bye
	s.bye = said
	return before
}

// flush waits, a while at most, until everything that was queued is written.
func (s *session) flush(most time.Duration) {
	for end := time.Now().Add(most); time.Now().Before(end) && s.alive(); {
		s.mu.Lock()
		done := len(s.queue) == 0 && !s.busy
		s.mu.Unlock()
		if done {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// close leaves, and waits until nothing of the session runs any more.
func (s *session) close(code int) {
	s.end(over(code, ""))
	if s.wire == nil {
		return
	}
	s.wire.close(code)
	s.cancel()
	s.work.Wait()
}

func (s *session) reading(ctx context.Context) {
	defer s.work.Done()
	for {
		text, err := s.wire.read(ctx)
		if err != nil {
			s.end(asClosed(err))
			return
		}
		s.heard.Store(time.Now().UnixNano())
		f, ok := parseFrame(text)
		if !ok || !s.alive() {
			continue
		}
		if f.kind == "welcome" {
			select {
			case <-s.welcomed:
				continue
			default:
				s.welcome = readWelcome(f)
			}
		}
		s.hear(s, f)
		if f.kind == "welcome" {
			close(s.welcomed)
		}
	}
}

func (s *session) writing(ctx context.Context) {
	defer s.work.Done()
	if s.opened(ctx) != nil {
		return
	}
	pace := newPace(s.welcome.Limits.FramesPerSecond, time.Now())
	for s.alive() {
		s.mu.Lock()
		waiting := len(s.queue) > 0
		s.busy = waiting
		s.mu.Unlock()
		if !waiting {
			select {
			case <-s.filled:
			case <-s.ended:
			}
			continue
		}
		if !pause(ctx, s.ended, pace.take(time.Now())) {
			return
		}
		s.mu.Lock()
		next := s.queue[0]
		s.queue = s.queue[1:]
		s.mu.Unlock()
		if !s.write(ctx, next()) {
			return
		}
	}
}

func (s *session) write(ctx context.Context, frame any) bool {
	if frame == nil {
		return true
	}
	text, err := json.Marshal(frame)
	if err == nil {
		err = s.wire.write(ctx, text)
	}
	if err != nil {
		pause(ctx, s.ended, reasonAfter) // Whoever reads learns the close code.
		s.end(asClosed(err))
	}
	return err == nil
}

// watching asks after silence of twice ping_ms, and gives up when nothing answers.
func (s *session) watching(ctx context.Context) {
	defer s.work.Done()
	if s.opened(ctx) != nil {
		return
	}
	var asked, before int64
	for pause(ctx, s.ended, 100*time.Millisecond) {
		now, heard := time.Now().UnixNano(), s.heard.Load()
		if asked != 0 && heard != before {
			asked = 0
		}
		patience := s.pingEvery.Load()
		if patience == 0 {
			patience = 2 * s.welcome.PingMS * int64(time.Millisecond)
		}
		switch {
		case asked == 0 && now-heard >= patience:
			asked, before = now, heard
			s.sendFirst(map[string]any{"type": "ping"})
		case asked != 0 && now-asked >= int64(probeAfter):
			s.end(over(codeSilent, ""))
		}
	}
}

// pause waits; false when the context or what may end has ended first.
func pause(ctx context.Context, ended <-chan struct{}, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ended:
		return false
	case <-ctx.Done():
		return false
	}
}

// poke wakes whoever waits; once is enough.
func poke(waiting chan<- struct{}) {
	select {
	case waiting <- struct{}{}:
	default:
	}
}
