package fanfare

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"
)

func TestATokenTravelsInAHeaderAndNeverInTheAddress(t *testing.T) {
	d := newDouble(t)
	d.client(Options{Token: "se cret"}).Connect()
	request := d.welcomed().request
	if request.URL.String() != "/v1/connect" || request.Header.Get("Authorization") != "Bearer se cret" {
		t.Fatalf("%s %v", request.URL, request.Header)
	}
	if request.Header.Get("Sec-WebSocket-Protocol") != "fanfare.v1" {
		t.Fatal(request.Header)
	}
}

func TestWhatIsNoObjectOrUnknownIsIgnored(t *testing.T) {
	d := newDouble(t)
	sub := subscribe(t, d.client(Options{}), "topic:a", Wish{})
	talk := d.welcomed(object{"later": []int{1}, "limits": object{"later": 1}})
	talk.hear("subscribe")
	talk.say("3", "null", "[]", `"x"`, "no json", "{}", object{"type": "later"}, object{"type": []int{1}})
	talk.say(object{"type": "event", "channel": "topic:a"}, object{"type": "event", "channel": 5})
	talk.subscribed("topic:a", "e-0")
	talk.say("4")
	talk.say(object{
		"type": "event", "channel": "topic:a", "position": "e-1", "event": "x", "data": object{},
		"at": 1, "later": object{"a": 1},
	})
	next[*Subscribed](t, sub)
	if event := next[*Event](t, sub); event.Position != "e-1" {
		t.Fatal(event)
	}
}

func TestACutConnectionResumesByPositionWhateverItLooksLike(t *testing.T) {
	d := newDouble(t)
	sub := subscribe(t, d.client(Options{}), "topic:a", Wish{})
	talk := d.welcomed()
	if talk.hear("subscribe")["since"] != nil {
		t.Fatal("it has seen nothing yet")
	}
	talk.subscribed("topic:a", "?")
	next[*Subscribed](t, sub)
	for _, position := range []string{"9", "what-so.ever", "1"} {
		talk.event("topic:a", position)
		if event := next[*Event](t, sub); event.Position != position || sub.Position() != position {
			t.Fatal(event)
		}
	}
	talk.cut()
	talk = d.welcomed()
	if since := talk.hear("subscribe")["since"]; since != "1" {
		t.Fatal(since)
	}
	talk.subscribed("topic:a", "1")
	if !next[*Subscribed](t, sub).Resumed {
		t.Fatal("not resumed")
	}
}

func TestAtADrainTheOldSocketIsHeldBackAndDiscarded(t *testing.T) {
	d := newDouble(t)
	sub := subscribe(t, d.client(Options{}), "topic:a", Wish{})
	old := d.welcomed()
	old.hear("subscribe")
	old.subscribed("topic:a", "e-0")
	old.event("topic:a", "e-1")
	old.say(object{"type": "bye", "reason": "restarting", "reconnect": true, "after_ms": 10})
	fresh := d.welcomed()
	if since := fresh.hear("subscribe")["since"]; since != "e-1" {
		t.Fatal(since)
	}
	old.event("topic:a", "e-2") // Held back: the new one sends it too.
	time.Sleep(200 * time.Millisecond)
	fresh.subscribed("topic:a", "e-1")
	fresh.event("topic:a", "e-2")
	fresh.event("topic:a", "e-3")
	next[*Subscribed](t, sub)
	for _, position := range []string{"e-1", "", "e-2", "e-3"} {
		if position == "" {
			if !next[*Subscribed](t, sub).Resumed {
				t.Fatal("not resumed")
			}
		} else if event := next[*Event](t, sub); event.Position != position {
			t.Fatalf("%s instead of %s", event.Position, position)
		}
	}
	old.wait()
}

func TestWhatWasHeldBackCountsWhenTheNewSocketFails(t *testing.T) {
	d := newDouble(t)
	sub := subscribe(t, d.client(Options{}), "topic:a", Wish{})
	old := d.welcomed()
	old.hear("subscribe")
	old.subscribed("topic:a", "e-0")
	next[*Subscribed](t, sub)
	old.say(object{"type": "bye", "reason": "restarting", "reconnect": true, "after_ms": 0})
	fresh := d.welcomed()
	fresh.hear("subscribe")
	old.event("topic:a", "e-1")
	time.Sleep(200 * time.Millisecond)
	fresh.cut()
	if event := next[*Event](t, sub); event.Position != "e-1" {
		t.Fatal(event)
	}
	old.event("topic:a", "e-2")
	if event := next[*Event](t, sub); event.Position != "e-2" {
		t.Fatal(event)
	}
	third := d.welcomed()
	if since := third.hear("subscribe")["since"]; since != "e-2" {
		t.Fatal(since)
	}
	third.subscribed("topic:a", "e-2")
	next[*Subscribed](t, sub)
	old.wait()
}

func TestAnUnconfirmedSubscribeIsAskedAgain(t *testing.T) {
	d := newDouble(t)
	change(t, &confirmAfter, 200*time.Millisecond)
	sub := subscribe(t, d.client(Options{}), "topic:a", Wish{})
	talk := d.welcomed()
	talk.hear("subscribe")
	talk.hear("unsubscribe")
	talk.hear("subscribe")
	// The first answer after all: it belongs to what was left.
	talk.subscribed("topic:a", "old")
	talk.event("topic:a", "old-1")
	talk.say(object{"type": "unsubscribed", "channel": "topic:a"})
	talk.subscribed("topic:a", "new")
	if subscribed := next[*Subscribed](t, sub); subscribed.Position != "new" {
		t.Fatal(subscribed)
	}
}

func TestAServerThatIsDegradedIsNotPressed(t *testing.T) {
	d := newDouble(t)
	change(t, &confirmAfter, 200*time.Millisecond)
	subscribe(t, d.client(Options{}), "topic:a", Wish{})
	talk := d.welcomed(object{"degraded": "store"})
	talk.hear("subscribe")
	talk.silence(1500 * time.Millisecond)
}

func TestAChannelThatIsRefusedEndsAndOneThatMustWaitDoesNot(t *testing.T) {
	d := newDouble(t)
	client := d.client(Options{})
	refused, waits := subscribe(t, client, "topic:a", Wish{}), subscribe(t, client, "topic:b", Wish{})
	talk := d.welcomed()
	talk.hear("subscribe")
	talk.hear("subscribe")
	for channel, code := range map[string]string{"topic:a": "forbidden", "topic:b": "unavailable"} {
		talk.say(object{"type": "error", "code": code, "message": "no", "channel": channel})
	}
	if failure := failure(t, refused); failure.Code != "forbidden" {
		t.Fatal(failure)
	}
	if problem := next[*Problem](t, waits); problem.Code != "unavailable" {
		t.Fatal(problem)
	}
	if channel := talk.hear("subscribe")["channel"]; channel != "topic:b" {
		t.Fatal(channel)
	}
}

func TestAChannelThatTheServerLeavesEnds(t *testing.T) {
	d := newDouble(t)
	sub := subscribe(t, d.client(Options{}), "topic:a", Wish{})
	talk := d.welcomed()
	talk.hear("subscribe")
	talk.subscribed("topic:a", "e-0")
	next[*Subscribed](t, sub)
	talk.say(object{"type": "unsubscribed", "channel": "topic:a"})
	if failure := failure(t, sub); failure.Code != "unsubscribed" {
		t.Fatal(failure)
	}
}

func TestChannelsBeyondTheLimitWaitForAPlace(t *testing.T) {
	d := newDouble(t)
	client := d.client(Options{})
	first, second := subscribe(t, client, "topic:a", Wish{}), subscribe(t, client, "topic:b", Wish{})
	talk := d.welcomed(object{"limits": object{"subscriptions": 1, "frames_per_second": 50}})
	if channel := talk.hear("subscribe")["channel"]; channel != "topic:a" {
		t.Fatal(channel)
	}
	if problem := next[*Problem](t, second); problem.Code != "too_many_subscriptions" {
		t.Fatal(problem)
	}
	talk.silence(300 * time.Millisecond)
	first.Close()
	talk.hear("unsubscribe")
	if channel := talk.hear("subscribe")["channel"]; channel != "topic:b" {
		t.Fatal(channel)
	}
}

func TestItIsNoFasterThanTheServerAllows(t *testing.T) {
	d := newDouble(t)
	client := d.client(Options{})
	for n := 0; n < 30; n++ {
		subscribe(t, client, fmt.Sprintf("topic:%d", n), Wish{})
	}
	talk := d.welcomed(object{"limits": object{"frames_per_second": 10}})
	began := time.Now()
	for n := 0; n < 30; n++ {
		talk.hear("subscribe")
	}
	if took := time.Since(began); took < 1900*time.Millisecond {
		t.Fatal(took)
	}
}

func TestItComesBackAfter(t *testing.T) {
	for _, code := range []int{1001, 1002, 1008, 1009, 1011, 1012, 1013, 4008, 4009, 4999} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			d := newDouble(t)
			d.client(Options{}).Connect()
			d.welcomed().close(code)
			d.welcomed()
		})
	}
}

func TestItStaysAwayAfter(t *testing.T) {
	for _, code := range []int{1000, 4001, 4003} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			d := newDouble(t)
			client := d.client(Options{Token: "t"})
			sub := subscribe(t, client, "topic:a", Wish{})
			d.welcomed().close(code)
			if failure := failure(t, sub); failure.Status != code {
				t.Fatal(failure)
			}
			until(t, "it is disconnected", func() bool { return client.State() == Disconnected })
		})
	}
}

func TestARefusedTokenIsReplacedOnce(t *testing.T) {
	d := newDouble(t)
	asked := 0
	source := func(context.Context) (string, error) {
		asked++
		return fmt.Sprintf("t%d", asked), nil
	}
	sub := subscribe(t, d.client(Options{TokenSource: source}), "topic:a", Wish{})
	for _, token := range []string{"Bearer t1", "Bearer t2"} {
		talk := d.talk()
		if sent := talk.request.Header.Get("Authorization"); sent != token {
			t.Fatal(sent)
		}
		talk.close(4001)
	}
	if failure := failure(t, sub); failure.Status != 4001 {
		t.Fatal(failure)
	}
}

func TestATokenThatEndsSoonIsReplacedOnTheOpenSocket(t *testing.T) {
	d := newDouble(t)
	source := func(context.Context) (string, error) {
		end := float64(time.Now().UnixMilli())/1000 + 3
		claims := base64.RawURLEncoding.EncodeToString([]byte(fmt.Sprintf(`{"exp":%f}`, end)))
		return "h." + claims + ".s", nil
	}
	d.client(Options{TokenSource: source}).Connect()
	talk := d.welcomed()
	token, _ := talk.hear("token")["token"].(string)
	if token == "" || "Bearer "+token == talk.request.Header.Get("Authorization") {
		t.Fatal(token)
	}
}

func TestSilenceIsAskedAfterAndThenLeft(t *testing.T) {
	d := newDouble(t)
	change(t, &probeAfter, time.Second)
	d.client(Options{}).Connect()
	talk := d.welcomed(object{"ping_ms": 100})
	talk.hear("ping")
	talk.say(object{"type": "pong"})
	talk.hear("ping")
	d.welcomed()
}

func TestPresenceIsSaidAnew(t *testing.T) {
	d := newDouble(t)
	d.client(Options{}).Presence("busy")
	for n := 0; n < 2; n++ {
		talk := d.welcomed()
		if status := talk.hear("presence")["status"]; status != "busy" {
			t.Fatal(status)
		}
		talk.cut()
	}
	d.welcomed()
}

func TestWhatTheServerHasLostIsTold(t *testing.T) {
	d := newDouble(t)
	var mu sync.Mutex
	var told []string
	client := d.client(Options{Notify: func(change Change) {
		mu.Lock()
		defer mu.Unlock()
		if change.State == Connected {
			told = append(told, change.Degraded)
		}
	}})
	client.Connect()
	talk := d.welcomed(object{"degraded": "broker"})
	until(t, "broker", func() bool { return client.Degraded() == "broker" })
	talk.say(object{"type": "status", "degraded": true, "reason": "both"})
	until(t, "both", func() bool { return client.Degraded() == "both" })
	talk.say(object{"type": "status", "degraded": false})
	until(t, "none", func() bool { return client.Degraded() == "" })
	client.Close()
	mu.Lock()
	defer mu.Unlock()
	if fmt.Sprint(told) != "[broker both ]" {
		t.Fatal(told)
	}
}

func TestASlowReaderLeavesAndComesBackWithoutALoss(t *testing.T) {
	d := newDouble(t)
	client := d.client(Options{})
	slow := subscribe(t, client, "topic:a", Wish{Buffer: 3})
	other := subscribe(t, client, "topic:b", Wish{})
	talk := d.welcomed()
	for _, channel := range []string{"topic:a", "topic:b"} {
		talk.hear("subscribe")
		talk.subscribed(channel, "e-0")
	}
	for n := 1; n < 6; n++ {
		talk.event("topic:a", fmt.Sprintf("e-%d", n))
	}
	talk.event("topic:b", "e-9")
	next[*Subscribed](t, other)
	next[*Event](t, other)
	talk.hear("unsubscribe")
	next[*Subscribed](t, slow)
	next[*Event](t, slow)
	if event := next[*Event](t, slow); event.Position != "e-2" {
		t.Fatal(event)
	}
	go func() {
		for frame := range talk.heard { // Asked for when the reader waits.
			if frame["since"] != "e-2" {
				t.Errorf("%v", frame)
			}
			talk.event("topic:a", "e-6")
			talk.say(object{"type": "unsubscribed", "channel": "topic:a"})
			talk.subscribed("topic:a", "e-2")
			talk.event("topic:a", "e-3")
			return
		}
	}()
	if !next[*Subscribed](t, slow).Resumed {
		t.Fatal("not resumed")
	}
	if event := next[*Event](t, slow); event.Position != "e-3" {
		t.Fatal(event)
	}
}

func TestAGapOfAnEntityIsFollowedByItsState(t *testing.T) {
	d := newDouble(t)
	sub := subscribe(t, d.client(Options{}), "task:t", Wish{Since: "e-1"})
	gap := object{"type": "gap", "channel": "task:t", "from": "e-1", "to": "f-9", "cause": "epoch"}
	for n := 0; n < 2; n++ {
		talk := d.welcomed()
		if since := talk.hear("subscribe")["since"]; since != "e-1" {
			t.Fatal(since)
		}
		talk.subscribed("task:t", "f-9")
		talk.say(gap)
		if next[*Subscribed](t, sub).Resumed {
			t.Fatal("resumed")
		}
		if gap := next[*Gap](t, sub); gap.Cause != "epoch" || gap.First != "e-1" {
			t.Fatal(gap)
		}
		if n == 0 {
			talk.cut() // Before the state came: the gap must be told again.
			continue
		}
		talk.say(object{
			"type": "state", "channel": "task:t", "position": "f-9", "state": object{"status": "running"},
		})
	}
	next[*Whole](t, sub)
	if sub.State()["status"] != "running" || sub.Position() != "f-9" {
		t.Fatal(sub.State())
	}
}

func TestAChannelIsSubscribedOnceAndCanBeTakenUpAgain(t *testing.T) {
	d := newDouble(t)
	client := d.client(Options{})
	sub := subscribe(t, client, "topic:a", Wish{})
	if _, err := client.Subscribe("topic:a", Wish{}); err == nil {
		t.Fatal("twice")
	}
	talk := d.welcomed()
	talk.hear("subscribe")
	sub.Close()
	again := subscribe(t, client, "topic:a", Wish{})
	talk.hear("unsubscribe")
	talk.hear("subscribe")
	talk.subscribed("topic:a", "old")
	talk.say(object{"type": "unsubscribed", "channel": "topic:a"})
	talk.subscribed("topic:a", "new")
	if subscribed := next[*Subscribed](t, again); subscribed.Position != "new" {
		t.Fatal(subscribed)
	}
	if _, err := sub.Next(bg); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
}

func TestNextEndsWithItsContext(t *testing.T) {
	d := newDouble(t)
	sub := subscribe(t, d.client(Options{}), "topic:a", Wish{})
	ctx, cancel := context.WithCancel(bg)
	cancel()
	if _, err := sub.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

// change sets a limit for one test.
func change(t *testing.T, limit *time.Duration, to time.Duration) {
	before := *limit
	*limit = to
	t.Cleanup(func() { *limit = before })
}
