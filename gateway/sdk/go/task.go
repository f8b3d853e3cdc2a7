package fanfare

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
)

// NewTask is work to be recorded for one agent; its result counts once. What is left out has the
// server's default.
type NewTask struct {
	ID    string `json:"id,omitempty"`
	Title string `json:"title"`
	// Executor is what agents see as the task's type.
	Executor string `json:"executor,omitempty"`
	// Payload is what the agent is given.
	Payload any `json:"payload,omitempty"`
	// Assign is one (an agent does it, once) or all (all that are there are told).
	Assign string `json:"assign,omitempty"`
	// Requires names capabilities that the agent must have, all of them.
	Requires []string `json:"requires,omitempty"`
	// Agent: this one and no other.
	Agent string `json:"agent,omitempty"`
	// Priority is 0 to 9; higher first.
	Priority *int   `json:"priority,omitempty"`
	Retry    *Retry `json:"retry,omitempty"`
	// TimeoutMS is the longest run of an attempt, from its last sign of progress.
	TimeoutMS int64 `json:"timeout_ms,omitempty"`
	// ExpiresMS is the longest wait for its first assignment.
	ExpiresMS int64 `json:"expires_ms,omitempty"`
	// NotBefore is in milliseconds since 1970.
	NotBefore int64 `json:"not_before,omitempty"`
	// DependsOn names tasks that must complete first.
	DependsOn []string `json:"depends_on,omitempty"`
	Group     string   `json:"group,omitempty"`
}

// Retry says how often a task is tried.
type Retry struct {
	Attempts int `json:"attempts"`
	// BackoffMS is the first pause; it doubles each time.
	BackoffMS int64 `json:"backoff_ms,omitempty"`
	// On names the ends that are followed by another attempt: lost, timeout, failed.
	On []string `json:"on,omitempty"`
}

// CreateTask records a task, and returns what the server says of it: an *Error of status 409 where
// its id is taken.
func (c *Client) CreateTask(ctx context.Context, task NewTask) (json.RawMessage, error) {
	return c.api.task(ctx, http.MethodPost, "", task)
}

// Task returns what is known of a task, its attempts, and what it waits for.
func (c *Client) Task(ctx context.Context, id string) (json.RawMessage, error) {
	return c.api.task(ctx, http.MethodGet, "/"+url.PathEscape(id), nil)
}

// CancelTask ends a task wherever it is: an *Error of status 409 where it has ended otherwise.
func (c *Client) CancelTask(ctx context.Context, id, reason string) (json.RawMessage, error) {
	said := map[string]string{}
	if reason != "" {
		said["reason"] = reason
	}
	return c.api.task(ctx, http.MethodPost, "/"+url.PathEscape(id)+"/cancel", said)
}

// RetryTask begins an ended task anew.
func (c *Client) RetryTask(ctx context.Context, id string) (json.RawMessage, error) {
	return c.api.task(ctx, http.MethodPost, "/"+url.PathEscape(id)+"/retry", struct{}{})
}

func (a *api) task(ctx context.Context, method, path string, said any) (json.RawMessage, error) {
	var body []byte
	if said != nil {
		text, err := json.Marshal(said)
		if err != nil {
			return nil, err
		}
		body = text
	}
	answer, err := a.request(ctx, method, "/v1/tasks"+path, body)
	if err != nil {
		return nil, err
	}
	if answer.status >= http.StatusMultipleChoices {
		return nil, answer.failure()
	}
	return answer.body, nil
}
