package fanfare

import (
	"encoding/json"
	"time"
)

// confirmAfter is how long a server that is whole may take to answer a subscribe.
var confirmAfter = 10 * time.Second

// ask is a channel that a connection was asked for.
type ask struct {
	// at is when the question was written; zero while it waits for its turn, or is answered.
	at time.Time
	// again: it was asked before, without an answer.
	again bool
}

// places are the channels of one connection, counted against the server's limit.
type places struct {
	most int
	asks map[string]*ask
	// left counts, by channel, the answers to unsubscribe that are still to come.
	left map[string]int
}

func newPlaces(most int) *places {
	return &places{most: most, asks: map[string]*ask{}, left: map[string]int{}}
}

func (p *places) free() bool { return len(p.asks) < p.most }

// leave gives a place back; what comes before the answer to this frame is void.
func (p *places) leave(channel string) map[string]any {
	delete(p.asks, channel)
	p.left[channel]++
	return map[string]any{"type": "unsubscribe", "channel": channel}
}

// void says whether a frame belongs to a subscription that was left.
func (p *places) void(f frame) bool {
	if p.left[f.channel] == 0 {
		return false
	}
	if f.kind == "unsubscribed" {
		if p.left[f.channel]--; p.left[f.channel] == 0 {
			delete(p.left, f.channel)
		}
	}
	return true
}

// confirmed: the server has answered.
func (p *places) confirmed(channel string) {
	if p.asks[channel] != nil {
		p.asks[channel] = &ask{}
	}
}

// overdue returns the channels whose question was not answered in time.
func (p *places) overdue(now time.Time) []string {
	var late []string
	for channel, ask := range p.asks {
		if !ask.at.IsZero() && now.Sub(ask.at) > confirmAfter {
			late = append(late, channel)
		}
	}
	return late
}

// postpone waits anew: the server said why it does not answer.
func (p *places) postpone(now time.Time) {
	for _, ask := range p.asks {
		if !ask.at.IsZero() {
			ask.at = now
		}
	}
}

// refusal is what an error of a channel says.
type refusal struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (f frame) refusal() refusal {
	var said refusal
	_ = json.Unmarshal(f.raw, &said)
	return said
}

// final are the errors of a channel that asking again does not mend.
var final = map[string]bool{
	"forbidden": true, "unauthorized": true, "unknown_channel": true,
	"bad_position": true, "bad_frame": true, "bad_json": true,
}
