// Follows the channels of its arguments and writes what is delivered, a line each.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"os"
	"sync"
	"time"

	"example.org/fanfare"
)

var writing sync.Mutex

func say(line map[string]any) {
	writing.Lock()
	defer writing.Unlock()
	text, err := json.Marshal(line)
	if err != nil {
		log.Fatal(err)
	}
	os.Stdout.Write(append(text, '\n'))
}

func token(ctx context.Context) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, os.Getenv("TOKEN_URL"), nil)
	if err != nil {
		return "", err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return string(text), err
}

func follow(sub *fanfare.Subscription) {
	for {
		item, err := sub.Next(context.Background())
		var failure *fanfare.Error
		if errors.As(err, &failure) {
			var code any = failure.Status
			if failure.Code != "" {
				code = failure.Code
			}
			say(map[string]any{"kind": "error", "channel": sub.Channel, "code": code})
		}
		if err != nil {
			return
		}
		switch item := item.(type) {
		case *fanfare.Subscribed:
			say(map[string]any{"kind": "subscribed", "channel": sub.Channel})
		case *fanfare.Event:
			say(map[string]any{"kind": "event", "channel": sub.Channel, "position": item.Position})
		case *fanfare.Gap:
			say(map[string]any{
				"kind": "gap", "channel": sub.Channel, "from": item.First, "to": item.Last, "cause": item.Cause,
			})
		case *fanfare.Problem:
			say(map[string]any{"kind": "error", "channel": sub.Channel, "code": item.Code})
		}
	}
}

func main() {
	options := fanfare.Options{
		Backoff: fanfare.Backoff{Least: 50 * time.Millisecond, Most: 500 * time.Millisecond},
		Notify: func(change fanfare.Change) {
			say(map[string]any{"kind": "degraded", "degraded": change.Degraded != ""})
		},
	}
	if os.Getenv("TOKEN_URL") != "" {
		options.TokenSource = token
	}
	client := fanfare.New(os.Getenv("FANFARE_URL"), options)
	var subs []*fanfare.Subscription
	for _, channel := range os.Args[1:] {
		sub, err := client.Subscribe(channel, fanfare.Wish{Since: os.Getenv("SINCE")})
		if err != nil {
			log.Fatal(err)
		}
		subs = append(subs, sub)
		go follow(sub)
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		states := map[string]any{}
		for _, sub := range subs {
			states[sub.Channel] = sub.State()
		}
		say(map[string]any{"kind": "states", "states": states})
	}
	client.Close()
}
