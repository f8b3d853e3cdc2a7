package fanfare

import (
	"strconv"
	"sync"
	"time"
)

// channels are all channels of a client, over whichever connections there are: each is asked for
// them, within its limits, until all are confirmed.
type channels struct {
	mu      sync.Mutex
	feeds   map[string]*feed
	order   []*feed
	places  map[*session]*places
	backoff Backoff
	replace func()
	// presence is how the user is there; said anew to each connection.
	presence any
}

func newChannels(backoff Backoff, replace func()) *channels {
	return &channels{
		feeds: map[string]*feed{}, places: map[*session]*places{}, backoff: backoff, replace: replace,
	}
}

// query asks for all channels as an event stream does, in its address.
func (c *channels) query(s *session) []pair {
	c.mu.Lock()
	defer c.mu.Unlock()
	places := newPlaces(len(c.order))
	c.places[s] = places
	var query []pair
	for _, feed := range c.order {
		if feed.behind {
			continue
		}
		feed.ask(s)
		places.asks[feed.channel] = &ask{at: time.Now()}
		tail, mode := 0, "all"
		if feed.since == "" {
			tail = feed.reader.wish.Tail
		}
		if feed.reader.wish.Latest {
			mode = "latest"
		}
		query = append(query, pair{"channel", feed.channel}, pair{"since", feed.since},
			pair{"tail", strconv.Itoa(tail)}, pair{"mode", mode})
	}
	return query
}

// ready asks a connection that was welcomed for everything that it does not have.
func (c *channels) ready(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.places[s] == nil {
		c.places[s] = newPlaces(s.welcome.Limits.Subscriptions)
	}
	if c.presence != nil {
		s.send(c.presence)
	}
	for _, feed := range c.order {
		c.ask(s, feed, false)
	}
}

// add takes up another channel; false where it is taken up already.
func (c *channels) add(f *feed, s *session) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.feeds[f.channel] != nil {
		return false
	}
	c.feeds[f.channel] = f
	c.order = append(c.order, f)
	c.ask(s, f, false)
	return true
}

// remove leaves a channel for good.
func (c *channels) remove(f *feed) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.forget(f) {
		c.leave(f)
	}
}

// caughtUp goes on with a channel whose reader had fallen behind.
func (c *channels) caughtUp(f *feed, s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.behind {
		f.behind = false
		c.ask(s, f, false)
	}
}

// hear takes a frame that concerns a channel.
func (c *channels) hear(s *session, f frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	places := c.places[s]
	if places == nil || f.channel == "" || places.void(f) {
		return
	}
	feed := c.feeds[f.channel]
	if feed == nil {
		return
	}
	switch f.kind {
	case "error":
		c.refused(s, feed, f.refusal())
	case "unsubscribed":
		message := "the server left " + f.channel
		c.finish(feed, &Error{Code: "unsubscribed", Message: message})
	default:
		if f.kind == "subscribed" {
			places.confirmed(f.channel)
		}
		feed.take(s, f)
		if feed.behind {
			c.leave(feed)
		}
	}
}

// lost: a connection is gone.
func (c *channels) lost(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.places, s)
	for _, feed := range c.order {
		feed.lost(s)
		if feed.behind {
			c.leave(feed)
		}
	}
}

// settled says whether nothing is heard by another connection any more.
func (c *channels) settled(s *session) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, feed := range c.order {
		if feed.home != s && (feed.home != nil || feed.asked != nil) {
			return false
		}
	}
	return true
}

// tick asks again where no answer came, and for what had to wait.
func (c *channels) tick(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	places, now := c.places[s], time.Now()
	if places == nil {
		return
	}
	if s.lacks() != "" {
		places.postpone(now)
	}
	for _, channel := range places.overdue(now) {
		if places.asks[channel].again || s.kind == kindStream {
			s.end(over(codeSilent, channel+" was not confirmed"))
			return
		}
		s.send(places.leave(channel))
		if feed := c.feeds[channel]; feed != nil {
			feed.lost(s)
			c.ask(s, feed, true)
		}
	}
	for _, feed := range c.order {
		if feed.retryAt.After(now) || feed.behind || places.asks[feed.channel] != nil {
			continue
		}
		if s.kind == kindStream {
			c.replace() // A stream has its channels in the address.
			return
		}
		c.ask(s, feed, false)
	}
}

// end tells all readers that there will be no connection any more.
func (c *channels) end(failure *Error) { c.endAll(failure) }

// close ends all subscriptions.
func (c *channels) close() { c.endAll(ErrClosed) }

func (c *channels) endAll(failure error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, feed := range append([]*feed{}, c.order...) {
		c.finish(feed, failure)
	}
}

// sayPresence says how the user is there, now and after each reconnection.
func (c *channels) sayPresence(status string, s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.presence = map[string]any{"type": "presence", "status": status}
	if s != nil && c.places[s] != nil {
		s.send(c.presence)
	}
}

func (c *channels) ask(s *session, f *feed, again bool) {
	places := c.places[s]
	if places == nil || f.behind || f.home == s || f.asked == s {
		return
	}
	if places.asks[f.channel] != nil || s.kind == kindStream {
		return
	}
	if !places.free() {
		if !f.told {
			f.told = true
			message := "the server allows no more channels on one connection: it waits"
			f.reader.put(&Problem{f.channel, "too_many_subscriptions", message})
		}
		return
	}
	f.told = false
	one := &ask{again: again}
	places.asks[f.channel] = one
	s.queueUp(func() any { return c.question(s, f, one) }, false)
}

// question makes the frame at the moment of writing, so that it says the newest position.
func (c *channels) question(s *session, f *feed, one *ask) any {
	c.mu.Lock()
	defer c.mu.Unlock()
	if places := c.places[s]; places == nil || places.asks[f.channel] != one {
		return nil
	}
	one.at = time.Now()
	return f.ask(s)
}

func (c *channels) leave(f *feed) {
	f.leave()
	for session, places := range c.places {
		if places.asks[f.channel] != nil {
			session.send(places.leave(f.channel))
		}
	}
}

func (c *channels) refused(s *session, f *feed, why refusal) {
	if final[why.Code] {
		c.finish(f, &Error{Code: why.Code, Message: why.Message})
		return
	}
	f.reader.put(&Problem{f.channel, why.Code, why.Message})
	if s == f.asked {
		delete(c.places[s].asks, f.channel)
		f.failures++
		f.retryAt = time.Now().Add(c.backoff.Wait(f.failures))
		f.lost(s)
	}
}

func (c *channels) finish(f *feed, failure error) {
	c.forget(f)
	f.leave()
	f.reader.end(failure)
	for _, places := range c.places {
		delete(places.asks, f.channel)
	}
}

func (c *channels) forget(f *feed) bool {
	if c.feeds[f.channel] != f {
		return false
	}
	delete(c.feeds, f.channel)
	for i, one := range c.order {
		if one == f {
			c.order = append(c.order[:i:i], c.order[i+1:]...)
			break
		}
	}
	return true
}
