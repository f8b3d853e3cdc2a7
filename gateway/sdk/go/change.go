package fanfare

import "time"

// Transport is how a client connects.
type Transport string

const (
	// Auto is a WebSocket, and server-sent events where WebSockets never open.
	Auto Transport = ""
	// WebSocket is a WebSocket only.
	WebSocket Transport = "websocket"
	// SSE is server-sent events only.
	SSE Transport = "sse"
)

// LinkState is how a connection stands.
type LinkState string

const (
	// Disconnected: there is no connection, and none is tried.
	Disconnected LinkState = "disconnected"
	// Connecting: a connection is tried, or will be after a pause.
	Connecting LinkState = "connecting"
	// Connected: a connection is in use.
	Connected LinkState = "connected"
)

// Change is what changed about the connection.
type Change struct {
	State LinkState
	// Reason is why the last connection or attempt ended.
	Reason string
	// Wait is how long until the next attempt.
	Wait time.Duration
	// Degraded is broker, store or both: what the server has lost for now. Connections stay.
	Degraded string
}
