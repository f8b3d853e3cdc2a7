package fanfare

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

const (
	// batchEvents and batchBytes are the most that goes at once; the server takes 1000 and 4 MiB.
	batchEvents = 1000
	batchBytes  = 3 << 20
	// tries is how often a batch is sent when the server is busy or away.
	tries = 6
	// requestAfter is how long an answer may take; answerBytes is how large it may be.
	requestAfter = 15 * time.Second
	answerBytes  = 64 << 20
)

// Page is a page of a channel's archive.
type Page struct {
	Channel string  `json:"channel"`
	Events  []Event `json:"events"`
	// Next is where the next page begins; empty at the end.
	Next Position `json:"next"`
	Head Position `json:"head"`
	// Gap is what is older than the archive, if it was asked for.
	Gap *Gap `json:"gap"`
}

// Query is what History reads; the zero value is the channel's first page.
type Query struct {
	// Since begins after this position; with Reverse before it.
	Since Position
	// Limit is the most events; the server has a limit of its own.
	Limit int
	// Reverse goes downwards, from Since or the newest.
	Reverse bool
	// Text finds only what contains it.
	Text string
}

// api is the server's HTTP side, with the client's token.
type api struct {
	url     string
	tokens  *tokens
	backoff Backoff
	http    *http.Client
}

// answer is what the server says over HTTP.
type answer struct {
	status     int
	body       []byte
	retryAfter time.Duration
}

func (a *api) publish(ctx context.Context, publications []Publication) ([]Published, error) {
	var published []Published
	items := make([]json.RawMessage, len(publications))
	for i, one := range named(publications) {
		text, err := json.Marshal(one)
		if err != nil {
			return nil, fmt.Errorf("fanfare: publication %d: %w", i, err)
		}
		items[i] = text
	}
	for start := 0; start < len(items); {
		end, size := start, 0
		for end < len(items) && end-start < batchEvents {
			if size += len(items[end]); end > start && size > batchBytes {
				break
			}
			end++
		}
		done, err := a.send(ctx, items[start:end])
		if err != nil {
			return published, err
		}
		for _, one := range done {
			one.Index += start
			published = append(published, one)
		}
		start = end
	}
	return published, nil
}

// send sends a batch, again where the server could not take it now.
func (a *api) send(ctx context.Context, batch []json.RawMessage) ([]Published, error) {
	body, err := json.Marshal(batch)
	if err != nil {
		return nil, err
	}
	for attempt := 1; ; attempt++ {
		said, err := a.request(ctx, http.MethodPost, "/v1/publish", body)
		wait := a.backoff.Wait(attempt)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err == nil && (said.status == http.StatusOK || said.status == http.StatusAccepted):
			var done struct{ Published []Published }
			err = json.Unmarshal(said.body, &done)
			return done.Published, err
		case err == nil && !again(said.status):
			return nil, said.failure()
		case attempt == tries && err == nil:
			return nil, said.failure()
		case attempt == tries:
			message := "the server cannot be reached: " + err.Error()
			return nil, &Error{Status: http.StatusServiceUnavailable, Message: message}
		}
		if wait < said.retryAfter {
			wait = said.retryAfter
		}
		if !pause(ctx, nil, wait) {
			return nil, ctx.Err()
		}
	}
}

func (a *api) history(ctx context.Context, channel string, query Query) (*Page, error) {
	asked := url.Values{}
	if query.Since != "" {
		asked.Set("since", query.Since)
	}
	if query.Limit > 0 {
		asked.Set("limit", strconv.Itoa(query.Limit))
	}
	if query.Reverse {
		asked.Set("reverse", "true")
	}
	if query.Text != "" {
		asked.Set("q", query.Text)
	}
	path := "/v1/channels/" + url.PathEscape(channel) + "/events?" + asked.Encode()
	said, err := a.request(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	if said.status != http.StatusOK {
		return nil, said.failure()
	}
	page := &Page{}
	if err := json.Unmarshal(said.body, page); err != nil {
		return nil, fmt.Errorf("fanfare: a page that cannot be read: %w", err)
	}
	for i := range page.Events {
		if page.Events[i].Recorded == 0 {
			page.Events[i].Recorded = page.Events[i].At
		}
	}
	return page, nil
}

// request asks once, and once more with another token where the first was refused.
func (a *api) request(ctx context.Context, method, path string, body []byte) (answer, error) {
	token, err := a.tokens.get(ctx)
	if err != nil {
		return answer{}, err
	}
	said, err := a.once(ctx, method, path, body, token)
	if err != nil || said.status != http.StatusUnauthorized || !a.tokens.renewable() {
		return said, err
	}
	if token, err = a.tokens.renew(ctx); err != nil {
		return said, err
	}
	return a.once(ctx, method, path, body, token)
}

func (a *api) once(ctx context.Context, method, path string, body []byte, token string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, requestAfter)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, a.url+path, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	request.Header = bearer(token)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := a.http.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	read, err := io.ReadAll(io.LimitReader(response.Body, answerBytes))
	seconds, _ := strconv.Atoi(response.Header.Get("Retry-After"))
	return answer{response.StatusCode, read, time.Duration(seconds) * time.Second}, err
}

// failure is what the server refused, and why.
func (a answer) failure() *Error {
	var said struct {
		Detail, Title string
		Problems      []Wrong
		Items         []json.RawMessage
	}
	_ = json.Unmarshal(a.body, &said)
	message := said.Detail
	if message == "" {
		message = said.Title
	}
	if message == "" {
		message = http.StatusText(a.status)
	}
	return &Error{Status: a.status, Message: message, Problems: said.Problems, Items: said.Items}
}

// again says whether another try may bring another answer.
func again(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable,
		http.StatusGatewayTimeout:
		return true
	}
	return false
}
