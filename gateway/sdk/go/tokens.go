package fanfare

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"math"
	"strings"
	"sync"
	"time"
)

// TokenSource answers with a JWT. It is asked at first, before the token ends, and once after a
// refusal.
type TokenSource func(ctx context.Context) (string, error)

const tokenMargin = 30 * time.Second

// tokens keeps the current token, and knows when the next is due.
type tokens struct {
	mu      sync.Mutex
	source  TokenSource
	current string
	had     bool
	next    time.Time
}

func newTokens(token string, source TokenSource) *tokens {
	return &tokens{source: source, current: token, had: source == nil}
}

func (t *tokens) renewable() bool { return t.source != nil }

// due says whether the token ends soon and another can be had.
func (t *tokens) due() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.next.IsZero() && !time.Now().Before(t.next)
}

// get returns the current token, asking for the first one.
func (t *tokens) get(ctx context.Context) (string, error) {
	t.mu.Lock()
	current, had := t.current, t.had
	t.mu.Unlock()
	if had {
		return current, nil
	}
	return t.renew(ctx)
}

// renew asks for another token.
func (t *tokens) renew(ctx context.Context) (string, error) {
	if t.source == nil {
		return t.current, nil
	}
	t.mu.Lock()
	t.next = time.Now().Add(tokenMargin) // Should the source fail: not at once again.
	t.mu.Unlock()
	token, err := t.source(ctx)
	if err != nil {
		return "", err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.current, t.had, t.next = token, true, renewal(token, time.Now())
	return token, nil
}

// renewal returns when to ask for the next token: half a minute before the end of this one, at its
// half where it is shorter; never for what is no JWT or has no end.
func renewal(token string, now time.Time) time.Time {
	parts := strings.Split(token, ".")
	if len(parts) < 2 {
		return time.Time{}
	}
	claims, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	var said struct {
		Exp *float64 `json:"exp"`
	}
	if err != nil || json.Unmarshal(claims, &said) != nil || said.Exp == nil {
		return time.Time{}
	}
	end := time.UnixMilli(int64(math.Min(*said.Exp, 1e11) * 1000))
	next := end.Add(-tokenMargin)
	for _, least := range []time.Time{now.Add(end.Sub(now) / 2), now.Add(time.Second)} {
		if next.Before(least) {
			next = least
		}
	}
	return next
}
