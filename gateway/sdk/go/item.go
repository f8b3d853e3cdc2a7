package fanfare

import (
	"bytes"
	"encoding/json"
)

// Position says how far a channel was seen. It is opaque: keep it, give it back as Wish.Since,
// compare it by equality.
type Position = string

// State is the folded state of an entity; its numbers are json.Number.
type State map[string]any

// Item is what a subscription yields: *Event, *Gap, *Whole, *Subscribed, *Presence or *Problem.
type Item interface{ item() }

// Event is one event of a channel. Each comes once and in order.
type Event struct {
	Channel  string   `json:"channel"`
	Position Position `json:"position"`
	// Type is deployment_update, task_log, notification …
	Type string `json:"event"`
	// ID is what it is about; empty for nothing in particular.
	ID   string          `json:"id"`
	Data json.RawMessage `json:"data"`
	// At is when it happened, and Recorded when it was recorded: milliseconds since 1970.
	At       int64 `json:"at"`
	Recorded int64 `json:"recorded"`
	// Tail marks what is from before the subscription began, and moves no position.
	Tail bool `json:"tail"`
	// Free marks a free message: its type says nothing about its meaning.
	Free        bool   `json:"free"`
	Traceparent string `json:"traceparent"`
}

// Gap stands for events that can no longer be had, from First to Last, both included.
type Gap struct {
	Channel string   `json:"channel"`
	First   Position `json:"from"`
	Last    Position `json:"to"`
	// Cause is retention, epoch, ahead or latest.
	Cause string `json:"cause"`
}

// Whole is the newest state, whole; it follows a gap.
type Whole struct {
	Channel  string   `json:"channel"`
	Position Position `json:"position"`
	State    State    `json:"state"`
}

// Subscribed says that the server listens for us from here on; it comes again after each
// reconnection.
type Subscribed struct {
	Channel  string   `json:"channel"`
	Position Position `json:"position"`
	Head     Position `json:"head"`
	// State is the folded state at Position where the channel begins anew.
	State State `json:"state"`
	// Resumed: the channel goes on exactly after the last event that was seen.
	Resumed bool `json:"-"`
	// Anew: no position was given, State is the channel's.
	Anew bool `json:"-"`
}

// Presence says how a user is there; only on the channel presence.
type Presence struct {
	User   string `json:"user"`
	Status string `json:"status"`
	At     int64  `json:"at"`
}

// Problem is something that keeps the channel from going on for now; it is tried again by itself.
type Problem struct {
	Channel, Code, Message string
}

func (*Event) item()      {}
func (*Gap) item()        {}
func (*Whole) item()      {}
func (*Subscribed) item() {}
func (*Presence) item()   {}
func (*Problem) item()    {}

// Decode reads a state into a value of the program's own; no state leaves it as it is.
func (s State) Decode(into any) error {
	if s == nil {
		return nil
	}
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// frame is an object that the server sent.
type frame struct {
	kind, channel string
	raw           []byte
}

// parseFrame reads a frame; what is no object is none of ours, and no reason to end.
func parseFrame(raw []byte) (frame, bool) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || raw[0] != '{' {
		return frame{}, false
	}
	var head struct {
		Type    any `json:"type"`
		Channel any `json:"channel"`
	}
	if json.Unmarshal(raw, &head) != nil {
		return frame{}, false
	}
	kind, _ := head.Type.(string)
	channel, _ := head.Channel.(string)
	if kind == "presence" {
		channel = "presence"
	}
	return frame{kind, channel, raw}, true
}

// read fills in what a frame says; numbers in states keep their digits.
func (f frame) read(into any) bool {
	decoder := json.NewDecoder(bytes.NewReader(f.raw))
	decoder.UseNumber()
	return decoder.Decode(into) == nil
}

// item reads what a subscription yields; nil where it is nothing of that kind.
func (f frame) item() Item {
	switch f.kind {
	case "event":
		event := &Event{Recorded: -1}
		if !f.read(event) || event.Position == "" {
			return nil
		}
		if event.Recorded < 0 {
			event.Recorded = event.At
		}
		return event
	case "gap":
		gap := &Gap{}
		if f.read(gap) && gap.Last != "" {
			return gap
		}
	case "state":
		whole := &Whole{}
		if f.read(whole) {
			return whole
		}
	case "presence":
		presence := &Presence{}
		if f.read(presence) {
			return presence
		}
	}
	return nil
}
