package fanfare

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	// settledAfter: a connection that was not sent on for so long has settled.
	settledAfter = time.Minute
	// tickEvery is how often what waits is looked at.
	tickEvery = 250 * time.Millisecond
)

// handler is what a connection is for.
type handler interface {
	// query asks as an event stream does, in its address; empty: nothing to ask.
	query(*session) []pair
	// ready: a connection was welcomed, and is the one to use.
	ready(*session)
	hear(*session, frame)
	// lost: a connection has ended.
	lost(*session)
	// settled says whether the connections before this one are not needed any more.
	settled(*session) bool
	// tick: a moment has passed.
	tick(*session)
	// end: there will be no connection any more.
	end(*Error)
}

// bye is the server's wish that we go elsewhere.
type bye struct {
	Reconnect bool    `json:"reconnect"`
	AfterMS   float64 `json:"after_ms"`
}

// link keeps one connection for a handler: back-off, close codes, tokens, and the next before the
// last ends. It knows nothing of channels or tasks.
type link struct {
	url     string
	tokens  *tokens
	handler handler
	options Options
	http    *http.Client

	mu       sync.Mutex
	current  *session
	state    LinkState
	degraded string
	moveWait time.Duration
	moves    int
	movedAt  time.Time
	move     chan struct{}

	// What follows belongs to the goroutine of run.
	leaving  []*session
	failures int
	// fresh: the last attempt was refused for its token, and another one was got.
	fresh        bool
	socketOpened bool
	closing      sync.WaitGroup
}

func newLink(url string, tokens *tokens, handler handler, options Options, client *http.Client) *link {
	return &link{
		url: url, tokens: tokens, handler: handler, options: options, http: client,
		state: Disconnected, move: make(chan struct{}, 1),
	}
}

// session returns the connection in use, if any.
func (l *link) session() *session {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.current
}

// replace opens another connection after a pause, and leaves this one when that has taken over.
func (l *link) replace(wait time.Duration) {
	l.mu.Lock()
	l.moveWait = wait
	l.mu.Unlock()
	poke(l.move)
}

// run connects, and stays connected until the context ends or there is no way back; the handler is
// told of the latter. Nothing of it runs when it returns.
func (l *link) run(ctx context.Context) error {
	defer l.leave()
	l.failures, l.fresh = 0, false
	for {
		session, err := l.open(ctx)
		var wait time.Duration
		if err == nil {
			l.adopt(session)
			wait, err = l.live(ctx, session)
		}
		if err != nil && ctx.Err() == nil {
			wait, err = l.failed(ctx, asClosed(err))
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			failure := &Error{}
			errors.As(err, &failure)
			l.handler.end(failure)
			return failure
		}
		if !l.pause(ctx, wait) {
			return ctx.Err()
		}
	}
}

// pause waits before an attempt, while the connection that is left (if any) goes on.
func (l *link) pause(ctx context.Context, wait time.Duration) bool {
	for end := time.Now().Add(wait); ; {
		left := time.Until(end)
		if left <= 0 {
			return ctx.Err() == nil
		}
		if left > tickEvery {
			left = tickEvery
		}
		if !pause(ctx, nil, left) {
			return false
		}
		l.bury()
	}
}

// open opens a connection and waits for its welcome.
func (l *link) open(ctx context.Context) (*session, error) {
	if l.session() == nil {
		l.tell(Connecting, "", 0)
	}
	session := newSession(l.kind(), l.hear)
	ctx, cancel := context.WithTimeout(ctx, l.options.connectTimeout())
	defer cancel()
	err := l.dial(ctx, session)
	if err == nil {
		err = session.opened(ctx)
	}
	if err != nil {
		l.handler.lost(session)
		session.close(codeDone)
		if errors.Is(err, context.DeadlineExceeded) {
			err = over(codeLost, "no answer in time")
		}
		return nil, err
	}
	l.socketOpened = l.socketOpened || session.kind == kindSocket
	return session, nil
}

func (l *link) dial(ctx context.Context, s *session) error {
	token, err := l.tokens.get(ctx)
	if err != nil {
		return over(codeLost, "no token: "+err.Error())
	}
	var wire wire
	if s.kind == kindSocket {
		address := "ws" + strings.TrimPrefix(l.url, "http") + "/v1/connect"
		wire, err = openSocket(ctx, l.http, address, token)
	} else {
		query := l.handler.query(s)
		if len(query) == 0 {
			return over(codeLost, "an event stream needs a channel")
		}
		wire, err = openStream(ctx, l.http, l.url+"/v1/events", query, token)
	}
	if err == nil {
		s.start(wire)
	}
	return err
}

// kind: every third attempt is an event stream, as long as no WebSocket ever opened.
func (l *link) kind() kind {
	if l.options.Transport != Auto {
		return kind(l.options.Transport)
	}
	if current := l.session(); current != nil {
		return current.kind
	}
	if l.socketOpened || l.failures%3 < 2 {
		return kindSocket
	}
	return kindStream
}

func (l *link) adopt(s *session) {
	l.failures, l.fresh = 0, false
	select {
	case <-l.move: // Whatever asked for another connection: here it is.
	default:
	}
	l.mu.Lock()
	if l.current != nil {
		l.leaving = append(l.leaving, l.current)
	}
	l.current, l.degraded = s, s.lacks()
	l.mu.Unlock()
	l.tell(Connected, "", 0)
	l.handler.ready(s)
	if bye := s.farewell(); bye != nil {
		l.goElsewhere(bye)
	}
}

// live uses a connection until it should be replaced, or ends; the pause until the next.
func (l *link) live(ctx context.Context, s *session) (time.Duration, error) {
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	for s.alive() {
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-s.ended:
		case <-l.move:
			l.mu.Lock()
			defer l.mu.Unlock()
			return l.moveWait, nil
		case <-ticker.C:
			l.renew(ctx, s)
			l.handler.tick(s)
			l.bury()
			l.handOver(s)
		}
	}
	l.bury()
	return 0, s.reason()
}

// renew hands a fresh token over before the old one ends; a source that fails is asked again later.
func (l *link) renew(ctx context.Context, s *session) {
	if !l.tokens.due() {
		return
	}
	token, err := l.tokens.renew(ctx)
	switch {
	case err != nil:
		l.tell(Connected, "no new token: "+err.Error(), 0)
	case s.kind == kindStream:
		l.replace(0)
	case token != "":
		s.sendFirst(map[string]any{"type": "token", "token": token})
	}
}

func (l *link) handOver(s *session) {
	if len(l.leaving) == 0 || !l.handler.settled(s) {
		return
	}
	for _, old := range l.leaving {
		l.over(old)
	}
	l.leaving = nil
}

// bury forgets connections that have ended; an older one that lives is used again meanwhile.
func (l *link) bury() {
	var living []*session
	for _, old := range l.leaving {
		if old.alive() {
			living = append(living, old)
		} else {
			l.over(old)
		}
	}
	l.leaving = living
	current := l.session()
	if current == nil || current.alive() {
		return
	}
	l.over(current)
	var next *session
	if last := len(l.leaving) - 1; last >= 0 {
		next, l.leaving = l.leaving[last], l.leaving[:last]
	}
	l.mu.Lock()
	l.current = next
	l.mu.Unlock()
	if next == nil {
		l.tell(Connecting, "", 0)
	}
}

// over ends a connection; how long its close takes is nobody's business.
func (l *link) over(s *session) {
	l.handler.lost(s)
	l.closing.Add(1)
	go func() {
		defer l.closing.Done()
		s.close(codeDone)
	}()
}

func (l *link) leave() {
	sessions := l.leaving
	l.mu.Lock()
	if l.current != nil {
		sessions = append(sessions, l.current)
	}
	l.leaving, l.current = nil, nil
	l.mu.Unlock()
	for _, session := range sessions {
		l.over(session)
	}
	l.closing.Wait()
	l.tell(Disconnected, "", 0)
}

// failed judges an end: the pause before coming back, or an *Error where there is no way back. It
// comes back whatever the code, but for three.
func (l *link) failed(ctx context.Context, why *closed) (time.Duration, error) {
	switch why.code {
	case codeDone, codeForbidden:
		return 0, &Error{Status: why.code, Message: why.reason}
	case codeUnauthorized:
		if l.fresh || !l.tokens.renewable() {
			return 0, &Error{Status: why.code, Message: why.reason}
		}
		if _, err := l.tokens.renew(ctx); err == nil {
			l.fresh = true
			return 0, nil
		}
	}
	l.failures++
	wait := l.options.Backoff.Wait(l.failures)
	select {
	case <-l.move:
		l.mu.Lock()
		if wait < l.moveWait {
			wait = l.moveWait
		}
		l.mu.Unlock()
	default:
	}
	if l.session() == nil {
		l.tell(Connecting, why.reason, wait)
	}
	return wait, nil
}

func (l *link) hear(s *session, f frame) {
	switch f.kind {
	case "welcome":
		s.setLacks(s.welcome.Degraded)
	case "status":
		l.status(s, f)
	case "bye":
		said := &bye{}
		if f.read(said) && said.Reconnect && s.setFarewell(said) == nil && s == l.session() {
			l.goElsewhere(said)
		}
	}
	l.handler.hear(s, f)
}

func (l *link) status(s *session, f frame) {
	var said struct {
		Degraded bool   `json:"degraded"`
		Reason   string `json:"reason"`
	}
	f.read(&said)
	switch {
	case !said.Degraded:
		said.Reason = ""
	case said.Reason == "":
		said.Reason = "unknown"
	}
	s.setLacks(said.Reason)
	if s == l.session() {
		l.mu.Lock()
		l.degraded = said.Reason
		state := l.state
		l.mu.Unlock()
		l.tell(state, "", 0)
	}
}

// goElsewhere opens the next connection at a random moment; later and later where a balancer leads
// back.
func (l *link) goElsewhere(said *bye) {
	l.mu.Lock()
	if time.Since(l.movedAt) < settledAfter {
		l.moves++
	} else {
		l.moves = 0
	}
	l.movedAt = time.Now()
	moves := l.moves
	l.mu.Unlock()
	wait := time.Duration(random() * said.AfterMS * float64(time.Millisecond))
	if moves > 0 {
		wait += l.options.Backoff.Wait(moves)
	}
	l.replace(wait)
}

func (l *link) tell(state LinkState, reason string, wait time.Duration) {
	l.mu.Lock()
	l.state = state
	degraded := l.degraded
	l.mu.Unlock()
	if l.options.Notify != nil {
		l.options.Notify(Change{state, reason, wait, degraded})
	}
}
