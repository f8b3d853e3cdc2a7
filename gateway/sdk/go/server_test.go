package fanfare

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"example.org/fanfare/fanfaretest"
)

// real starts a server and a client of it, which end with the test.
func real(t *testing.T, options Options) (*fanfaretest.Server, *Client) {
	t.Helper()
	server := fanfaretest.Start(t)
	return server, connect(t, server.URL, options)
}

func connect(t *testing.T, url string, options Options) *Client {
	options.Backoff = Backoff{Least: 50 * time.Millisecond, Most: 500 * time.Millisecond}
	client := New(url, options)
	t.Cleanup(client.Close)
	return client
}

func update(n int) Publication {
	return Publication{
		Stream: "deployments", Type: "deployment_update", ID: "d1", Data: object{"progress": n},
	}
}

func publish(t *testing.T, client *Client, publications ...Publication) {
	t.Helper()
	if _, err := client.Publish(bg, publications...); err != nil {
		t.Fatal(err)
	}
}

// events reads so many events, whatever else comes between but gaps.
func events(t *testing.T, sub *Subscription, count int) []*Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(bg, time.Minute)
	defer cancel()
	var found []*Event
	for len(found) < count {
		item, err := sub.Next(ctx)
		if err != nil {
			t.Fatalf("after %d of %d events: %v", len(found), count, err)
		}
		switch item := item.(type) {
		case *Event:
			found = append(found, item)
		case *Gap:
			t.Fatalf("%+v", item)
		}
	}
	return found
}

func progress(t *testing.T, event *Event) int {
	t.Helper()
	var data struct{ Progress int }
	if err := json.Unmarshal(event.Data, &data); err != nil {
		t.Fatal(err)
	}
	return data.Progress
}

// archive reads all positions that the record has.
func archive(t *testing.T, client *Client, channel string) []Position {
	t.Helper()
	var found []Position
	for query := (Query{Limit: 500}); ; {
		page, err := client.History(bg, channel, query)
		if err != nil {
			t.Fatal(err)
		}
		for _, event := range page.Events {
			found = append(found, event.Position)
		}
		if query.Since = page.Next; query.Since == "" {
			return found
		}
	}
}

func positions(events []*Event) []Position {
	var found []Position
	for _, event := range events {
		found = append(found, event.Position)
	}
	return found
}

func TestTheStateThatIsFoldedHereIsTheServers(t *testing.T) {
	t.Parallel()
	server, client := real(t, Options{})
	sub := subscribe(t, client, "deployment:d1", Wish{})
	next[*Subscribed](t, sub)
	log := Publication{
		Stream: "deployments", Type: "deployment_log", ID: "d1", Data: object{"lines": []string{"y"}},
	}
	first := update(1)
	first.Data = object{"message": "one", "custom": object{"a": []int{1}}, "big": json.Number("12345678901234567890")}
	publish(t, client, first, log, update(100))
	events(t, sub, 3)
	other := connect(t, server.URL, Options{})
	whole := next[*Subscribed](t, subscribe(t, other, "deployment:d1", Wish{}))
	if whole.Position != sub.Position() {
		t.Fatal(whole.Position, sub.Position())
	}
	// Until the frames carry the time of recording, lines and times differ by milliseconds.
	if mine, theirs := timeless(sub.State()), timeless(whole.State); !reflect.DeepEqual(mine, theirs) {
		t.Fatalf("%v\n%v", mine, theirs)
	}
}

func timeless(state State) State {
	copied := State{}
	for key, value := range state {
		copied[key] = value
	}
	delete(copied, "timestamp")
	var lines []string
	logs, _ := state["logs"].([]any)
	for _, line := range logs {
		_, text, _ := strings.Cut(fmt.Sprint(line), "] ")
		lines = append(lines, text)
	}
	copied["logs"] = lines
	return copied
}

func TestNothingIsLostOrDoubledWhenTheServerDies(t *testing.T) {
	t.Parallel()
	server, client := real(t, Options{})
	sub := subscribe(t, client, "deployment:d1", Wish{})
	next[*Subscribed](t, sub)
	for n := 0; n < 5; n++ {
		publish(t, client, update(n))
	}
	server.Kill()
	server.Start()
	for n := 5; n < 10; n++ {
		publish(t, client, update(n))
	}
	seen := events(t, sub, 10)
	for n, event := range seen {
		if progress(t, event) != n {
			t.Fatal(n, event)
		}
	}
	if found := archive(t, client, "deployment:d1"); !reflect.DeepEqual(positions(seen), found) {
		t.Fatal(found)
	}
}

func TestAnotherClientGoesOnWhereOneStopped(t *testing.T) {
	t.Parallel()
	server, client := real(t, Options{})
	sub := subscribe(t, client, "deployment:d1", Wish{})
	next[*Subscribed](t, sub)
	publish(t, client, update(1), update(2))
	events(t, sub, 1)
	kept := sub.Position()
	client.Close()
	other := subscribe(t, connect(t, server.URL, Options{}), "deployment:d1", Wish{Since: kept})
	if !next[*Subscribed](t, other).Resumed {
		t.Fatal("not resumed")
	}
	if event := events(t, other, 1)[0]; progress(t, event) != 2 {
		t.Fatal(event)
	}
}

func TestATailComesFirstAndIsMarked(t *testing.T) {
	t.Parallel()
	_, client := real(t, Options{})
	publish(t, client, update(0), update(1), update(2))
	sub := subscribe(t, client, "deployment:d1", Wish{Tail: 2})
	next[*Subscribed](t, sub)
	before := sub.Position()
	for n, event := range events(t, sub, 2) {
		if !event.Tail || progress(t, event) != n+1 || sub.Position() != before {
			t.Fatal(event)
		}
	}
}

func TestAPositionOfAnotherDatabaseIsAGapAndTheNewestState(t *testing.T) {
	t.Parallel()
	_, client := real(t, Options{})
	publish(t, client, update(7))
	sub := subscribe(t, client, "deployment:d1", Wish{Since: "0badcafe-5"})
	if next[*Subscribed](t, sub).Resumed {
		t.Fatal("resumed")
	}
	if gap := next[*Gap](t, sub); gap.First != "0badcafe-5" || gap.Cause != "epoch" {
		t.Fatal(gap)
	}
	next[*Whole](t, sub)
	if sub.State()["progress"] != json.Number("7") {
		t.Fatal(sub.State())
	}
}

func TestADrainLosesAndDoublesNothing(t *testing.T) {
	for _, transport := range []Transport{WebSocket, SSE} {
		transport := transport
		t.Run(string(transport), func(t *testing.T) {
			t.Parallel()
			server, client := real(t, Options{Transport: transport})
			writer := connect(t, server.URL, Options{})
			sub := subscribe(t, client, "deployment:d1", Wish{})
			next[*Subscribed](t, sub)
			count, over := make(chan int, 1), make(chan struct{})
			go func() {
				n := 0
				for ; ; n++ {
					select {
					case <-over:
						count <- n
						return
					default:
					}
					if _, err := writer.Publish(bg, update(n)); err != nil {
						t.Errorf("publish: %v", err)
					}
				}
			}()
			seen := events(t, sub, 5)
			server.Drain()
			server.Start()
			close(over)
			seen = append(seen, events(t, sub, <-count-5)...)
			if found := archive(t, writer, "deployment:d1"); !reflect.DeepEqual(positions(seen), found) {
				t.Fatalf("%v\ninstead of %v", positions(seen), found)
			}
		})
	}
}

func TestRightsThatANewTokenLacksEndAChannel(t *testing.T) {
	t.Parallel()
	server := fanfaretest.Start(t)
	given := []string{
		server.Token("ann", "--channels", "tasks", "--ttl", "4s"),
		server.Token("ann", "--channels", "agents"),
	}
	client := connect(t, server.URL, Options{TokenSource: func(context.Context) (string, error) {
		token := given[0]
		given = given[1:]
		return token, nil
	}})
	sub := subscribe(t, client, "tasks", Wish{})
	next[*Subscribed](t, sub)
	ctx, cancel := context.WithTimeout(bg, 6*time.Second)
	defer cancel()
	_, err := sub.Next(ctx)
	var failure *Error
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		t.Skip("this server keeps the channel; the double shows what newer ones do")
	case !errors.As(err, &failure) || (failure.Code != "forbidden" && failure.Code != "unsubscribed"):
		t.Fatal(err)
	}
}

func TestATokenThatNobodySignedEndsIt(t *testing.T) {
	t.Parallel()
	_, client := real(t, Options{Token: "wrong"})
	if failure := failure(t, subscribe(t, client, "tasks", Wish{})); failure.Status != 4001 {
		t.Fatal(failure)
	}
}

func TestAHundredAndTwentyEightChannelsChangeForOthers(t *testing.T) {
	t.Parallel()
	_, client := real(t, Options{})
	for _, round := range []string{"a", "b"} {
		subs := make([]*Subscription, 128)
		for n := range subs {
			subs[n] = subscribe(t, client, fmt.Sprintf("deployment:%s%d", round, n), Wish{})
		}
		for _, sub := range subs {
			next[*Subscribed](t, sub)
		}
		for _, sub := range subs {
			sub.Close()
		}
	}
}

func TestPresenceIsSeenByOthers(t *testing.T) {
	t.Parallel()
	server := fanfaretest.Start(t)
	ann := connect(t, server.URL, Options{Token: server.Token("ann", "--channels", "presence")})
	bob := connect(t, server.URL, Options{Token: server.Token("bob", "--channels", "presence")})
	sub := subscribe(t, bob, "presence", Wish{})
	next[*Subscribed](t, sub)
	ann.Presence("busy")
	for {
		presence := next[*Presence](t, sub)
		if presence.User == "ann" && presence.Status == "busy" {
			return
		}
	}
}

func TestASlowReaderOfARealServerLosesNothing(t *testing.T) {
	t.Parallel()
	_, client := real(t, Options{})
	sub := subscribe(t, client, "deployment:d1", Wish{Buffer: 10})
	next[*Subscribed](t, sub)
	many := make([]Publication, 200)
	for n := range many {
		many[n] = update(n)
	}
	publish(t, client, many...)
	for n := range many {
		if event := events(t, sub, 1)[0]; progress(t, event) != n {
			t.Fatal(n, event)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func TestWhereNoWebSocketPassesItFallsBackToAnEventStream(t *testing.T) {
	t.Parallel()
	server := fanfaretest.Start(t)
	client := connect(t, office(t, server), Options{})
	sub := subscribe(t, client, "deployment:d1", Wish{})
	next[*Subscribed](t, sub)
	publish(t, client, update(1))
	events(t, sub, 1)
	server.Kill()
	server.Start()
	publish(t, client, update(2))
	if event := events(t, sub, 1)[0]; progress(t, event) != 2 {
		t.Fatal(event)
	}
}

// office is a proxy as in some offices: HTTP passes, WebSockets do not.
func office(t *testing.T, server *fanfaretest.Server) string {
	there, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(there)
	proxy.FlushInterval = -1
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) {
		w.WriteHeader(http.StatusBadGateway)
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, "no sockets here")
			return
		}
		proxy.ServeHTTP(w, r)
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serving := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	var done sync.WaitGroup
	done.Add(1)
	go func() {
		defer done.Done()
		_ = serving.Serve(listener)
	}()
	t.Cleanup(func() {
		_ = serving.Close()
		done.Wait()
	})
	return "http://" + listener.Addr().String()
}
