package fanfare

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Options say how to connect; the zero value is right for a server in development.
type Options struct {
	// Token is a JWT or an API key.
	Token string
	// TokenSource is asked for a JWT instead: at first, before it ends, and once after a refusal.
	TokenSource TokenSource
	Transport   Transport
	Backoff     Backoff
	// ConnectTimeout is how long an attempt may take; 10 s by default.
	ConnectTimeout time.Duration
	TLS            *tls.Config
	// Notify is called at every change of the connection. It must not wait.
	Notify func(Change)
}

func (o Options) connectTimeout() time.Duration {
	if o.ConnectTimeout > 0 {
		return o.ConnectTimeout
	}
	return 10 * time.Second
}

// httpClient makes a client of our own, whose idle connections we can close.
func (o Options) httpClient() *http.Client {
	transport, _ := http.DefaultTransport.(*http.Transport)
	own := transport.Clone()
	if o.TLS != nil {
		own.TLSClientConfig = o.TLS.Clone()
	}
	return &http.Client{Transport: own}
}

// Client subscribes and publishes over one connection to a gateway, any number of channels.
type Client struct {
	channels *channels
	link     *link
	api      *api

	mu     sync.Mutex
	cancel context.CancelFunc
	closed bool
	work   sync.WaitGroup
}

// New makes a client of the server at https://host, with or without a path in front of /v1. It
// connects with the first subscription, and runs until Close.
func New(url string, options Options) *Client {
	url = address(url)
	tokens := newTokens(options.Token, options.TokenSource)
	http := options.httpClient()
	client := &Client{api: &api{url, tokens, options.Backoff, http}}
	client.channels = newChannels(options.Backoff, func() { client.link.replace(0) })
	client.link = newLink(url, tokens, client.channels, options, http)
	return client
}

// Connect connects, as the first subscription does; after a final refusal this is the way back.
func (c *Client) Connect() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cancel != nil || c.closed {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	c.work.Add(1)
	go func() {
		defer c.work.Done()
		_ = c.link.run(ctx) // The subscriptions are told.
		c.mu.Lock()
		defer c.mu.Unlock()
		cancel()
		c.cancel = nil
	}()
}

// Close leaves the server; every subscription ends. Nothing of the client runs when it returns.
func (c *Client) Close() {
	c.mu.Lock()
	c.closed = true
	if c.cancel != nil {
		c.cancel()
	}
	c.mu.Unlock()
	c.work.Wait()
	c.channels.close()
	c.api.http.CloseIdleConnections()
}

// State says how the connection stands.
func (c *Client) State() LinkState {
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	return c.link.state
}

// Degraded is broker, store or both: what the server has lost for now; empty when it is whole.
func (c *Client) Degraded() string {
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	return c.link.degraded
}

// Welcome is what the server said when the connection in use began; nil without one.
func (c *Client) Welcome() *Welcome {
	session := c.link.session()
	if session == nil {
		return nil
	}
	welcome := session.welcome
	return &welcome
}

// Subscribe listens to a channel, which may be listened to once per client.
func (c *Client) Subscribe(channel string, wish Wish) (*Subscription, error) {
	reader := newSubscription(channel, wish)
	feed := newFeed(reader)
	reader.leave = func() { c.channels.remove(feed) }
	reader.caughtUp = func() { c.channels.caughtUp(feed, c.link.session()) }
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	if closed {
		return nil, ErrClosed
	}
	if !c.channels.add(feed, c.link.session()) {
		return nil, fmt.Errorf("fanfare: %s has a subscription already", channel)
	}
	c.Connect()
	return reader, nil
}

// Publish publishes over HTTP and returns where the events were recorded; what the server accepted
// without recording it within 5 s (202) is not in the answer. Up to 1000 go together, all or none
// of them. What the server could not take is sent again, and applied once; a refusal is an *Error.
func (c *Client) Publish(ctx context.Context, publications ...Publication) ([]Published, error) {
	return c.api.publish(ctx, publications)
}

// History reads a page of the channel's archive.
func (c *Client) History(ctx context.Context, channel string, query Query) (*Page, error) {
	return c.api.history(ctx, channel, query)
}

// Presence tells others of this user's presence (online, away, busy or offline); said anew after
// each reconnection.
func (c *Client) Presence(status string) {
	c.channels.sayPresence(status, c.link.session())
	c.Connect()
}

// address returns where HTTP goes: no ws, no slash at the end.
func address(url string) string {
	url = strings.TrimRight(url, "/")
	if rest := strings.TrimPrefix(url, "ws"); rest != url {
		return "http" + rest
	}
	return url
}
