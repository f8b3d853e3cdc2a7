package fanfare

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"
)

const (
	// unsaidMax is how many lines and words of progress wait for a connection; the oldest go first.
	unsaidMax = 1000
	// agentFrameBytes is the largest frame of an agent, where the server names no other limit.
	agentFrameBytes = 4 << 20
)

// desk holds the jobs of an agent, and the frames that speak of them (the contract's "Agents"). It
// keeps each result until the server has recorded it.
type desk struct {
	agent *Agent
	// ctx is that of Run: all work ends with it.
	ctx context.Context

	mu           sync.Mutex
	jobs         map[string]*Job
	owed         map[string]resultFrame
	unsaid       []any
	session      *session
	acknowledged *session
	// heard is when the server was heard last, over all connections; nanoseconds.
	heard int64
	work  sync.WaitGroup
}

func newDesk(ctx context.Context, agent *Agent) *desk {
	return &desk{agent: agent, ctx: ctx, jobs: map[string]*Job{}, owed: map[string]resultFrame{}}
}

// watch stops work whose grace is over, until the context ends.
func (d *desk) watch(ctx context.Context) {
	for wait := time.Second / 4; pause(ctx, nil, wait); {
		wait = d.look(time.Now())
	}
}

// look stops what must stop now, and returns when to look again.
func (d *desk) look(now time.Time) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.noteHeard(d.session)
	silence := time.Duration(now.UnixNano() - d.heard)
	next := time.Second / 4
	for _, job := range d.jobs {
		if job.Grace <= 0 {
			continue
		}
		if silence >= job.Grace {
			job.stop("lost")
		}
		if soon := job.Grace / 20; soon < next {
			next = soon
		}
	}
	return next
}

// stop stops all work, and waits for it.
func (d *desk) stop(why string) {
	d.mu.Lock()
	for _, job := range d.jobs {
		job.stop(why)
	}
	d.mu.Unlock()
	d.work.Wait()
}

// query: agents need both directions.
func (d *desk) query(*session) []pair { return nil }

// ready says who we are and what we still run, then what was done or said meanwhile.
func (d *desk) ready(s *session) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.session = s
	d.noteHeard(s)
	running := []name{}
	for _, job := range d.jobs {
		if job.Attempt != 0 && job.Cancelled() == "" {
			running = append(running, job.name())
		}
	}
	for _, result := range d.owed {
		running = append(running, result.name)
	}
	metadata := map[string]any{}
	for key, value := range d.agent.Metadata {
		metadata[key] = value
	}
	metadata["slots"], metadata["accepts"], metadata["cancels"] = d.agent.slots(), true, true
	metadata["running"] = running
	capabilities := append([]string{}, d.agent.Capabilities...)
	s.send(map[string]any{
		"type": "agent-status", "status": "online",
		"capabilities": capabilities, "metadata": metadata,
	})
	for _, frame := range d.unsaid {
		s.send(frame)
	}
	d.unsaid = nil
	for _, result := range d.owed {
		s.send(result)
	}
}

// hear takes a frame of the server.
func (d *desk) hear(s *session, f frame) {
	if f.kind == "error" && d.agent.Refused != nil {
		why := f.refusal()
		d.agent.Refused(&Error{Code: why.Code, Message: why.Message})
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch f.kind {
	case "task":
		var task taskFrame
		if _ = json.Unmarshal(f.raw, &task); task.TaskID != "" {
			d.take(newJob(task, d.sayOf))
		}
	case "task-cancel":
		var said struct {
			name
			Reason string `json:"reason"`
		}
		if json.Unmarshal(f.raw, &said) == nil {
			d.cancel(said.name, said.Reason)
		}
	case "task-recorded":
		var said name
		if json.Unmarshal(f.raw, &said) == nil && d.owed[said.TaskID].name == said {
			delete(d.owed, said.TaskID)
		}
	case "ack":
		d.acknowledged = s
	case "ping":
		s.send(map[string]any{"type": "pong"})
	}
}

// lost: the jobs have their grace.
func (d *desk) lost(s *session) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s == d.session {
		d.noteHeard(s)
		d.session = nil
	}
}

// settled says whether the server of this connection knows us.
func (d *desk) settled(s *session) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.acknowledged == s
}

// tick asks for signs of life while work depends on them.
func (d *desk) tick(s *session) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pace(s)
}

// end is told by link.run too.
func (d *desk) end(*Error) {}

func (d *desk) pace(s *session) {
	var least time.Duration
	for _, job := range d.jobs {
		if job.Grace > 0 && (least == 0 || job.Grace < least) {
			least = job.Grace
		}
	}
	s.pingEvery.Store(int64(least / 3))
}

func (d *desk) noteHeard(s *session) {
	if s != nil && s.heard.Load() > d.heard {
		d.heard = s.heard.Load()
	}
}

func (d *desk) take(job *Job) {
	if known := d.jobs[job.ID]; known != nil {
		if known.Attempt == job.Attempt {
			return // Sent again: it is in hand.
		}
		known.stop("stale")
	}
	if owed, done := d.owed[job.ID]; done {
		if owed.name == job.name() {
			d.say(owed)
			return
		}
		delete(d.owed, job.ID)
	}
	if d.agent.Refuse != nil {
		if reason := d.agent.Refuse(job); reason != "" {
			if job.Attempt != 0 {
				d.say(rejectFrame{"task-reject", job.name(), reason})
			}
			return
		}
	}
	if job.Attempt != 0 {
		d.say(acceptFrame{"task-accept", job.name()})
	}
	ctx, cancel := context.WithCancel(d.ctx)
	job.cancel = cancel
	d.jobs[job.ID] = job
	if d.session != nil {
		d.pace(d.session)
	}
	d.work.Add(1)
	go func() {
		defer d.work.Done()
		defer cancel()
		d.do(ctx, job)
	}()
}

// do works, and says what came of it; what was stopped is nobody's any more.
func (d *desk) do(ctx context.Context, job *Job) {
	result, err := d.handle(ctx, job)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.jobs[job.ID] == job {
		delete(d.jobs, job.ID)
	}
	if job.Cancelled() != "" || d.ctx.Err() != nil {
		return
	}
	frame := resultFrame{"task-result", job.name(), "completed", d.written(result)}
	if err == nil && frame.Result == nil {
		err = fmt.Errorf("too_large")
	}
	if err != nil {
		frame.Status = "failed"
		frame.Result, _ = json.Marshal(map[string]string{"error": err.Error()})
	}
	if job.Attempt != 0 {
		d.owed[job.ID] = frame
	}
	d.say(frame)
}

// handle calls the handler; what it panics with is a failure too.
func (d *desk) handle(ctx context.Context, job *Job) (result json.RawMessage, err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			err = fmt.Errorf("panic: %v", panicked)
		}
	}()
	value, err := d.agent.Handler(ctx, job)
	if err != nil {
		return nil, err
	}
	return json.Marshal(value)
}

// written is a result that fits into a frame; nil for one that does not.
func (d *desk) written(result json.RawMessage) json.RawMessage {
	limit := agentFrameBytes
	if d.session != nil && d.session.welcome.Limits.FrameBytes > 0 {
		limit = d.session.welcome.Limits.FrameBytes
	}
	if len(result) > limit-1024 {
		return nil
	}
	return result
}

func (d *desk) cancel(of name, reason string) {
	if job := d.jobs[of.TaskID]; job != nil && job.name() == of {
		delete(d.jobs, of.TaskID)
		job.stop(reason)
	}
	if d.owed[of.TaskID].name == of {
		delete(d.owed, of.TaskID)
	}
}

// sayOf says something for a job, which does not hold the lock.
func (d *desk) sayOf(frame any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.say(frame)
}

// say sends a frame; what cannot be sent now waits, but for results of attempts, which are owed
// anyway.
func (d *desk) say(frame any) {
	if d.session != nil {
		d.session.send(frame)
		return
	}
	if result, is := frame.(resultFrame); is && result.Attempt != 0 {
		return
	}
	if len(d.unsaid) == unsaidMax {
		d.unsaid = d.unsaid[1:]
	}
	d.unsaid = append(d.unsaid, frame)
}
