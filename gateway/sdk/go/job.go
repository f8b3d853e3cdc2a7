package fanfare

import (
	"context"
	"encoding/json"
	"sync"
	"time"
)

// Job is one task in an agent's hands.
type Job struct {
	// ID is the task's id, Type its executor.
	ID, Type string
	Payload  json.RawMessage
	// Attempt counts the assignments of the task from 1; 0 for a task that goes to all agents.
	Attempt int
	// Grace is how long the work may go on without a word from the server; 0: for ever.
	Grace time.Duration
	// Timeout is how long the attempt may run after its last Progress.
	Timeout  time.Duration
	Priority int
	// Dependencies are the tasks that had to complete first.
	Dependencies []Dependency

	say    func(any)
	cancel context.CancelFunc
	mu     sync.Mutex
	why    string
}

// Dependency is a task that had to complete first.
type Dependency struct {
	ID string `json:"taskId"`
	// Result is null where all of them together were too large.
	Result json.RawMessage `json:"result"`
}

// name is what names an attempt in every frame.
type name struct {
	TaskID  string `json:"taskId"`
	Attempt int    `json:"attempt,omitempty"`
}

// taskFrame is a task as the server hands it over.
type taskFrame struct {
	name
	TaskType     string          `json:"taskType"`
	Payload      json.RawMessage `json:"payload"`
	GraceMS      int64           `json:"graceMs"`
	TimeoutMS    int64           `json:"timeoutMs"`
	Priority     int             `json:"priority"`
	Dependencies []Dependency    `json:"dependencies"`
}

func newJob(f taskFrame, say func(any)) *Job {
	return &Job{
		ID: f.TaskID, Type: f.TaskType, Payload: f.Payload, Attempt: f.Attempt,
		Grace:    time.Duration(f.GraceMS) * time.Millisecond,
		Timeout:  time.Duration(f.TimeoutMS) * time.Millisecond,
		Priority: f.Priority, Dependencies: f.Dependencies, say: say,
	}
}

// Progress says how far the work is (0 to 1), and optionally what it does; this also begins the
// time-out anew.
func (j *Job) Progress(progress float64, message string) {
	j.tell(progressFrame{"task-progress", j.name(), progress, message})
}

// Log adds lines to the task's log.
func (j *Job) Log(lines ...string) {
	j.tell(logFrame{"task-log", j.name(), lines})
}

// Cancelled is why the work was stopped: cancelled, timeout, stale or lost; else empty.
func (j *Job) Cancelled() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.why
}

func (j *Job) name() name { return name{j.ID, j.Attempt} }

// tell says something of this attempt; a task for all has no words but its result.
func (j *Job) tell(frame any) {
	if j.Attempt != 0 && j.Cancelled() == "" {
		j.say(frame)
	}
}

// stop stops the work.
func (j *Job) stop(why string) {
	j.mu.Lock()
	if j.why == "" {
		j.why = why
	}
	j.mu.Unlock()
	if j.cancel != nil {
		j.cancel()
	}
}

type progressFrame struct {
	Type string `json:"type"`
	name
	Progress float64 `json:"progress"`
	Message  string  `json:"message,omitempty"`
}

type logFrame struct {
	Type string `json:"type"`
	name
	Lines []string `json:"lines"`
}

type acceptFrame struct {
	Type string `json:"type"`
	name
}

type rejectFrame struct {
	Type string `json:"type"`
	name
	Reason string `json:"reason"`
}

// resultFrame is what came of an attempt.
type resultFrame struct {
	Type string `json:"type"`
	name
	Status string          `json:"status"`
	Result json.RawMessage `json:"result"`
}
