package fanfare

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Handler works on a job: what it returns is the result, its error the failure. Its context ends
// when the job is cancelled, when the server was not heard for the job's grace, and with Run's.
type Handler func(ctx context.Context, job *Job) (any, error)

// Agent takes tasks over one connection, by a token of role "agent". Its fields are read by Run.
type Agent struct {
	// URL is the server, as in New.
	URL string
	// Options say how to connect; the transport is always a WebSocket.
	Options Options
	// Capabilities are what tasks may require of it.
	Capabilities []string
	// Slots is how many tasks for one agent it works on at once; 1 by default.
	Slots int
	// Metadata is whatever else the list of agents should show.
	Metadata map[string]any
	// Handler works on each job, in a goroutine of its own.
	Handler Handler
	// Refuse, if given, may answer with a reason not to take a job. It must not wait.
	Refuse func(*Job) string
	// Refused, if given, is told of frames that the server did not take. It must not wait.
	Refused func(*Error)
}

func (a *Agent) slots() int {
	if a.Slots > 0 {
		return a.Slots
	}
	return 1
}

// Run works until the context ends, and returns its error; an *Error when the server refuses the
// agent for good. At the end it stops its work, waits for the handlers, and says offline, so that
// its tasks go to others at once.
func (a *Agent) Run(ctx context.Context) error {
	if a.Handler == nil {
		return errors.New("fanfare: an agent needs a handler")
	}
	options := a.Options
	options.Transport = WebSocket
	tokens := newTokens(options.Token, options.TokenSource)
	client := options.httpClient()
	defer client.CloseIdleConnections()

	working, stop := context.WithCancel(ctx)
	linked, leave := context.WithCancel(context.Background())
	defer leave()
	desk := newDesk(working, a)
	link := newLink(address(a.URL), tokens, desk, options, client)
	var failure error
	var runs sync.WaitGroup
	runs.Add(2)
	go func() {
		defer runs.Done()
		defer stop()
		failure = link.run(linked)
	}()
	go func() {
		defer runs.Done()
		desk.watch(working)
	}()

	<-working.Done()
	desk.stop("lost")
	if session := link.session(); session != nil {
		session.send(map[string]any{"type": "agent-status", "status": "offline"})
		session.flush(2 * time.Second)
	}
	leave()
	runs.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return failure
}
