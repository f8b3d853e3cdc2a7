// Agent counts words: FANFARE_TOKEN=… go run ./examples/agent.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"example.org/fanfare"
)

func main() {
	url := os.Getenv("FANFARE_URL")
	if url == "" {
		url = "http://127.0.0.1:8080"
	}
	agent := fanfare.Agent{
		URL:          url,
		Options:      fanfare.Options{Token: os.Getenv("FANFARE_TOKEN")},
		Capabilities: []string{"count"},
		Slots:        4,
		Handler:      count,
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := agent.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
		log.Fatal(err)
	}
}

// count counts the words of each text.
func count(ctx context.Context, job *fanfare.Job) (any, error) {
	var payload struct{ Texts []string }
	if err := json.Unmarshal(job.Payload, &payload); err != nil {
		return nil, err
	}
	words := 0
	for done, text := range payload.Texts {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		words += len(strings.Fields(text))
		share := float64(done+1) / float64(len(payload.Texts))
		job.Progress(share, fmt.Sprintf("%d of %d texts", done+1, len(payload.Texts)))
	}
	return map[string]int{"words": words}, nil
}
