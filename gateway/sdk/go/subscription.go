package fanfare

import (
	"context"
	"sync"
)

// bufferDefault is how many items wait for a slow reader by default.
const bufferDefault = 1000

// Wish is what a subscription asks for; the zero value begins with the newest state.
type Wish struct {
	// Since asks for everything after this position, as far as the archive reaches back.
	Since Position
	// Tail asks for the last so many events first; without effect beside Since.
	Tail int
	// Latest skips a slow reader to the newest state instead of every event.
	Latest bool
	// Buffer is how many items wait for a slow reader, 1000 by default. One that falls behind loses
	// nothing: the channel is left, and asked for again from there when the reader has caught up.
	Buffer int
}

func (w Wish) buffer() int {
	if w.Buffer > 0 {
		return w.Buffer
	}
	return bufferDefault
}

// Subscription yields what happens on a channel; made by Client.Subscribe.
type Subscription struct {
	// Channel is the channel's name.
	Channel string

	wish Wish
	// leave and caughtUp are the client's.
	leave, caughtUp func()

	mu       sync.Mutex
	items    []Item
	failure  error
	active   bool
	position Position
	state    State
	known    bool
	filled   chan struct{}
}

func newSubscription(channel string, wish Wish) *Subscription {
	return &Subscription{
		Channel: channel, wish: wish, position: wish.Since, filled: make(chan struct{}, 1),
	}
}

// Next waits for the next item. It returns an *Error when the channel is refused for good, and
// ErrClosed after Close. One goroutine at a time may call it.
func (s *Subscription) Next(ctx context.Context) (Item, error) {
	for {
		s.mu.Lock()
		if len(s.items) > 0 {
			item := s.items[0]
			s.items = s.items[1:]
			s.follow(item)
			s.mu.Unlock()
			return item, nil
		}
		failure := s.failure
		s.mu.Unlock()
		if failure != nil {
			return nil, failure
		}
		s.caughtUp()
		select {
		case <-s.filled:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Position is where the item that Next returned last left the reader: keep it, give it back as
// Wish.Since, and nothing is lost or repeated.
func (s *Subscription) Position() Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.position
}

// State is the folded state after the item that Next returned last; nil while it is unknown, and on
// channels that have none. It must not be changed.
func (s *Subscription) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// Active says whether the server listens for us, now.
func (s *Subscription) Active() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.active
}

// Close leaves the channel; what waits can still be read.
func (s *Subscription) Close() {
	s.leave()
	s.end(ErrClosed)
}

// follow moves position and state along with what the reader sees.
func (s *Subscription) follow(item Item) {
	switch item := item.(type) {
	case *Event:
		if item.Tail {
			return
		}
		s.position = item.Position
		if s.known {
			s.state = Fold(s.Channel, s.state, item)
		}
	case *Gap:
		s.position = item.Last
	case *Whole:
		s.position, s.state, s.known = item.Position, item.State, true
	case *Subscribed:
		if item.Anew {
			s.position, s.state, s.known = item.Position, item.State, true
		}
	}
}

func (s *Subscription) full() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.items) >= s.wish.buffer()
}

func (s *Subscription) put(item Item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure == nil {
		s.items = append(s.items, item)
		poke(s.filled)
	}
}

func (s *Subscription) setActive(active bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active = active
}

func (s *Subscription) end(failure error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active = false
	if s.failure == nil {
		s.failure = failure
		poke(s.filled)
	}
}
