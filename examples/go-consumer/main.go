// Follows all deployments and acts on those that end. A restart goes on where it stopped: the position of the
// last event that was dealt with is kept in a file.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"

	"example.org/fanfare"
)

const file = "position"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	url := os.Getenv("FANFARE_URL")
	if url == "" {
		url = "http://127.0.0.1:8080"
	}
	client := fanfare.New(url, fanfare.Options{Token: os.Getenv("FANFARE_TOKEN")})
	defer client.Close()
	position, _ := os.ReadFile(file)
	sub, err := client.Subscribe("deployments", fanfare.Wish{Since: string(position)})
	if err != nil {
		log.Fatal(err)
	}
	for {
		item, err := sub.Next(ctx)
		if errors.Is(err, context.Canceled) {
			return
		}
		if err != nil {
			log.Fatal(err)
		}
		switch item := item.(type) {
		case *fanfare.Event:
			handle(item)
		case *fanfare.Gap:
			log.Printf("events %s to %s are no longer kept: %s", item.First, item.Last, item.Cause)
		}
		// After the event was dealt with: a crash before deals with it once more, and never skips it.
		if err := os.WriteFile(file, []byte(sub.Position()), 0o600); err != nil {
			log.Fatal(err)
		}
	}
}

func handle(event *fanfare.Event) {
	var data struct {
		Status string `json:"status"`
	}
	if err := json.Unmarshal(event.Data, &data); err != nil {
		log.Printf("%s: %v", event.ID, err)
		return
	}
	switch data.Status {
	case "success":
		fmt.Printf("%s is deployed\n", event.ID)
	case "error", "abandoned":
		fmt.Printf("%s failed\n", event.ID)
	}
}
