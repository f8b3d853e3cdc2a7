package fanfare

import (
	"encoding/json"
	"errors"
	"fmt"
)

// ErrClosed says that the subscription or the client was closed by the program itself.
var ErrClosed = errors.New("fanfare: closed")

// Close codes that decide something (the contract's close codes).
const (
	codeDone         = 1000
	codeLost         = 1006
	codeUnauthorized = 4001
	codeForbidden    = 4003
	codeSilent       = 4008
)

var meanings = map[int]string{
	1000: "done",
	1001: "the server is going away",
	1006: "the connection was lost",
	1008: "against the server's policy",
	1009: "a frame was too large",
	1011: "an internal error of the server",
	1012: "the server restarts",
	1013: "the server is over capacity",
	4001: "the token is missing, invalid or expired",
	4003: "forbidden",
	4008: "no sign of life",
	4009: "too many connections of this user",
}

// Error is something that went wrong for good: a refused channel, a connection that may not come
// back, an answer over HTTP.
type Error struct {
	// Status is a close code (4003) or an HTTP status (429); 0 where Code says more.
	Status int
	// Code is the server's own word, such as "forbidden".
	Code string
	// Message says it in words.
	Message string
	// Problems say what is wrong with each publication (400).
	Problems []Wrong
	// Items are the state of each publication where the outcome is not known for all (504).
	Items []json.RawMessage
}

func (e *Error) Error() string {
	if e.Code != "" {
		return fmt.Sprintf("fanfare: %s (%s)", e.Message, e.Code)
	}
	return fmt.Sprintf("fanfare: %s (%d)", e.Message, e.Status)
}

// closed is the end of a connection, or of an attempt to open one.
type closed struct {
	code   int
	reason string
}

func (c *closed) Error() string { return fmt.Sprintf("%s (%d)", c.reason, c.code) }

// over makes the end of a connection; without a reason the code's meaning is one.
func over(code int, reason string) *closed {
	if reason == "" {
		reason = meanings[code]
	}
	if reason == "" {
		reason = fmt.Sprintf("closed with code %d", code)
	}
	return &closed{code, reason}
}

// asClosed makes any failure the end of a connection.
func asClosed(err error) *closed {
	var end *closed
	if errors.As(err, &end) {
		return end
	}
	return over(codeLost, err.Error())
}
