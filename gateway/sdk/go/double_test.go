package fanfare

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

var (
	soon = Backoff{Least: 10 * time.Millisecond, Most: 50 * time.Millisecond}
	bg   = context.Background()
)

const patience = 20 * time.Second

type object = map[string]any

// double is a server that says what a test wants it to say, and writes down what it hears. It
// stands in for faults that a real server does not commit on demand, and for the agents' frames.
type double struct {
	t   *testing.T
	url string
	// come are the connections that nobody looked at yet.
	come chan *talk
}

func newDouble(t *testing.T) *double {
	noLeaks(t)
	d := &double{t: t, come: make(chan *talk, 100)}
	server := httptest.NewServer(http.HandlerFunc(d.serve))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	d.url = server.URL
	return d
}

func (d *double) serve(w http.ResponseWriter, r *http.Request) {
	options := &websocket.AcceptOptions{Subprotocols: []string{"fanfare.v1"}}
	conn, err := websocket.Accept(w, r, options)
	if err != nil {
		return
	}
	ctx, cancel := context.WithCancel(bg)
	defer cancel()
	talk := &talk{t: d.t, request: r, conn: conn, heard: make(chan object, 1000), over: ctx.Done()}
	d.come <- talk
	for {
		_, text, err := conn.Read(bg)
		if err != nil {
			_ = conn.CloseNow()
			return
		}
		said := object{}
		_ = json.Unmarshal(text, &said)
		talk.heard <- said
	}
}

// talk waits for the next connection.
func (d *double) talk() *talk {
	d.t.Helper()
	select {
	case talk := <-d.come:
		return talk
	case <-time.After(patience):
		d.t.Fatal("nobody connects")
		return nil
	}
}

// welcomed waits for the next connection, and welcomes it.
func (d *double) welcomed(more ...object) *talk {
	d.t.Helper()
	talk := d.talk()
	welcome := object{"type": "welcome", "connection": "c", "ping_ms": 25000}
	for _, one := range more {
		for key, value := range one {
			welcome[key] = value
		}
	}
	talk.say(welcome)
	return talk
}

// talk is one connection, seen from the server.
type talk struct {
	t       *testing.T
	request *http.Request
	conn    *websocket.Conn
	heard   chan object
	over    <-chan struct{}
}

func (c *talk) say(frames ...any) {
	c.t.Helper()
	for _, frame := range frames {
		text, is := frame.(string)
		if !is {
			written, _ := json.Marshal(frame)
			text = string(written)
		}
		if err := c.conn.Write(bg, websocket.MessageText, []byte(text)); err != nil {
			c.t.Fatalf("the double cannot write: %v", err)
		}
	}
}

func (c *talk) subscribed(channel, position string) {
	c.t.Helper()
	c.say(object{"type": "subscribed", "channel": channel, "position": position, "head": position})
}

func (c *talk) event(channel, position string) {
	c.t.Helper()
	c.say(object{
		"type": "event", "channel": channel, "position": position, "event": "x",
		"id": nil, "data": object{}, "at": 1,
	})
}

// hear waits for the next frame, which must be of this type.
func (c *talk) hear(kind string) object {
	c.t.Helper()
	select {
	case frame := <-c.heard:
		if frame["type"] != kind {
			c.t.Fatalf("%v instead of %s", frame, kind)
		}
		return frame
	case <-time.After(patience):
		c.t.Fatalf("no %s", kind)
		return nil
	}
}

// silence: nothing is said for a while.
func (c *talk) silence(while time.Duration) {
	c.t.Helper()
	select {
	case frame := <-c.heard:
		c.t.Fatalf("said: %v", frame)
	case <-time.After(while):
	}
}

func (c *talk) close(code int) { _ = c.conn.Close(websocket.StatusCode(code), "") }

// cut ends it without a word.
func (c *talk) cut() { _ = c.conn.CloseNow() }

func (c *talk) wait() {
	c.t.Helper()
	select {
	case <-c.over:
	case <-time.After(patience):
		c.t.Fatal("the connection stays")
	}
}

// client makes a client that ends with the test.
func (d *double) client(options Options) *Client {
	options.Backoff = soon
	client := New(d.url, options)
	d.t.Cleanup(client.Close)
	return client
}

func subscribe(t *testing.T, client *Client, channel string, wish Wish) *Subscription {
	t.Helper()
	sub, err := client.Subscribe(channel, wish)
	if err != nil {
		t.Fatal(err)
	}
	return sub
}

// next waits for an item, which must be of this kind.
func next[T Item](t *testing.T, sub *Subscription) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(bg, patience)
	defer cancel()
	item, err := sub.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	wanted, is := item.(T)
	if !is {
		t.Fatalf("%T: %+v", item, item)
	}
	return wanted
}

// failure waits for the end of a subscription.
func failure(t *testing.T, sub *Subscription) *Error {
	t.Helper()
	ctx, cancel := context.WithTimeout(bg, patience)
	defer cancel()
	for {
		_, err := sub.Next(ctx)
		if failure, is := err.(*Error); is {
			return failure
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if condition() {
			return
		}
	}
	t.Fatalf("waited in vain: %s", what)
}

// TestMain checks, when all tests are done, that nothing of ours runs.
func TestMain(m *testing.M) {
	code := m.Run()
	if left := leaks(); left != "" {
		fmt.Fprintf(os.Stderr, "left running:\n%s\n", left)
		code = 1
	}
	os.Exit(code)
}

// noLeaks checks it when everything else of a test is cleaned up; for tests that run alone.
func noLeaks(t *testing.T) {
	t.Cleanup(func() {
		if left := leaks(); left != "" {
			t.Errorf("left running:\n%s", left)
		}
	})
}

// leaks are goroutines of ours that do not end in a while.
func leaks() string {
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if left := ours(); left == "" || time.Now().After(end) {
			return left
		}
	}
}

func ours() string {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	var left []string
	for _, one := range bytes.Split(stacks, []byte("\n\n")) {
		text := string(one)
		if strings.Contains(text, "example.org/fanfare.(*") && !strings.Contains(text, "testing.tRunner") {
			left = append(left, text)
		}
	}
	return strings.Join(left, "\n\n")
}
