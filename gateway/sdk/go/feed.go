package fanfare

import (
	"strings"
	"time"
)

// feed is one channel on the wire: which connection it is heard on, and how far it was heard.
//
// No position is ever compared with another but by equality: a channel has one home, the connection
// whose server confirmed it last, and only what comes from there counts. While another connection
// is asked, what the old home says is held back; at the new one's subscribed it is discarded,
// because the server sends it again, and it counts after all where the new connection fails.
type feed struct {
	channel     string
	reader      *Subscription
	position    Position
	home, asked *session
	// behind: the reader is too slow, and the channel waits for it.
	behind   bool
	retryAt  time.Time
	failures int
	// told: the reader knows that there is no place for the channel.
	told  bool
	since Position
	held  []frame
}

func newFeed(reader *Subscription) *feed {
	return &feed{channel: reader.Channel, reader: reader, position: reader.wish.Since}
}

// ask makes the frame that starts or resumes the channel; from here on the session counts.
func (f *feed) ask(s *session) map[string]any {
	f.asked, f.since = s, f.position
	frame := map[string]any{"type": "subscribe", "channel": f.channel}
	if f.position != "" {
		frame["since"] = f.position
	} else if f.reader.wish.Tail > 0 {
		frame["tail"] = f.reader.wish.Tail
	}
	if f.reader.wish.Latest {
		frame["mode"] = "latest"
	}
	return frame
}

// take takes a frame of the channel that came by a session.
func (f *feed) take(s *session, frame frame) {
	switch {
	case s == f.asked && frame.kind == "subscribed":
		f.confirmed(s, frame)
	case s != f.home:
	case f.asked == nil:
		f.deliver(frame)
	case len(f.held) < f.reader.wish.buffer():
		f.held = append(f.held, frame)
	default:
		f.home = nil // The rest comes again, whoever answers next.
	}
}

// lost: the session is gone, or refused the channel for now.
func (f *feed) lost(s *session) {
	if s == f.home {
		f.home = nil
	}
	if s == f.asked {
		f.asked = nil
		held := f.held
		f.held = nil
		for _, frame := range held {
			if !f.behind {
				f.deliver(frame)
			}
		}
	}
	f.reader.setActive(f.home != nil)
}

// leave hears nothing any more until it is asked for again.
func (f *feed) leave() {
	f.home, f.asked, f.held = nil, nil, nil
	f.reader.setActive(false)
}

func (f *feed) confirmed(s *session, frame frame) {
	subscribed := &Subscribed{}
	if !frame.read(subscribed) {
		return
	}
	f.home, f.asked, f.held, f.failures = s, nil, nil, 0
	subscribed.Anew = f.since == ""
	subscribed.Resumed = !subscribed.Anew && subscribed.Position == f.since
	if subscribed.Anew {
		f.position = subscribed.Position
	} else {
		subscribed.State = nil
	} // Where it was not resumed: a gap follows, which moves the position.
	f.reader.setActive(true)
	f.reader.put(subscribed)
}

func (f *feed) deliver(frame frame) {
	item := frame.item()
	if item == nil {
		return
	}
	if f.reader.full() {
		f.behind = true
		f.leave()
		return
	}
	switch item := item.(type) {
	case *Event:
		if !item.Tail {
			f.position = item.Position
		}
	case *Whole:
		f.position = item.Position
	case *Gap:
		if !hasState(f.channel) {
			f.position = item.Last
		} // Else the state that follows moves it.
	}
	f.reader.put(item)
}

// hasState says whether a channel is that of an entity, which has a state.
func hasState(channel string) bool {
	entity, _, named := strings.Cut(channel, ":")
	return named && folds[entity] != nil
}
