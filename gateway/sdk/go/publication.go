package fanfare

import (
	"crypto/rand"
	"encoding/hex"
)

// Publication is one event to publish.
type Publication struct {
	// Stream is deployments, tasks, agents, containers, messages or topics.
	Stream string `json:"stream"`
	Type   string `json:"type"`
	// ID is what it is about.
	ID string `json:"id,omitempty"`
	// Data is an object, or nothing.
	Data any `json:"data,omitempty"`
	// User: it also goes to this user's channel.
	User string `json:"user,omitempty"`
	// EventID makes it safe to repeat: the same id is applied once. Made up where it is empty.
	EventID string `json:"event_id,omitempty"`
	// LeaseMS, for tasks and deployments: without another event for so long, it ends as abandoned.
	LeaseMS int64 `json:"lease_ms,omitempty"`
	// At is when it happened, milliseconds since 1970.
	At          int64  `json:"at,omitempty"`
	Traceparent string `json:"traceparent,omitempty"`
}

// Published is where an event was recorded.
type Published struct {
	// Index is which of the publications.
	Index    int      `json:"index"`
	Channel  string   `json:"channel"`
	Position Position `json:"position"`
}

// Wrong is what is wrong with a publication.
type Wrong struct {
	Index   int    `json:"index"`
	Path    string `json:"path"`
	Message string `json:"message"`
}

// named returns publications that all have an event id, so that they can be sent again.
func named(publications []Publication) []Publication {
	all := make([]Publication, len(publications))
	for i, one := range publications {
		if one.EventID == "" {
			var id [16]byte
			_, _ = rand.Read(id[:])
			one.EventID = hex.EncodeToString(id[:])
		}
		all[i] = one
	}
	return all
}
