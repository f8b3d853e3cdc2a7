// Follow plays a build and follows it to its end: go run ./examples/follow [DEPLOYMENT].
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"example.org/fanfare"
)

// stages are what a builder says.
var stages = []struct {
	status   string
	progress int
}{{"building", 10}, {"building", 60}, {"deploying", 90}, {"success", 100}}

func main() {
	deployment := "example-1"
	if len(os.Args) > 1 {
		deployment = os.Args[1]
	}
	url := os.Getenv("FANFARE_URL")
	if url == "" {
		url = "http://127.0.0.1:8080"
	}
	client := fanfare.New(url, fanfare.Options{Token: os.Getenv("FANFARE_TOKEN")})
	defer client.Close()
	if err := follow(context.Background(), client, deployment); err != nil {
		log.Fatal(err)
	}
}

// follow shows each event until the deployment has ended.
func follow(ctx context.Context, client *fanfare.Client, deployment string) error {
	sub, err := client.Subscribe("deployment:"+deployment, fanfare.Wish{})
	if err != nil {
		return err
	}
	defer sub.Close()
	built := make(chan error, 1)
	begun := false
	for {
		item, err := sub.Next(ctx)
		if err != nil {
			return err
		}
		var state struct {
			Status   string
			Progress int
			Logs     []string
		}
		if err := sub.State().Decode(&state); err != nil {
			return err
		}
		switch item := item.(type) {
		case *fanfare.Subscribed:
			if !begun {
				begun = true
				go func() { built <- build(ctx, client, deployment) }()
			}
		case *fanfare.Event:
			fmt.Printf("%3d %% %s: %s\n", state.Progress, state.Status, state.Logs[len(state.Logs)-1])
		case *fanfare.Gap:
			fmt.Printf("no longer kept: %s to %s\n", item.First, item.Last)
		}
		if state.Status == "success" || state.Status == "error" || state.Status == "abandoned" {
			return <-built
		}
	}
}

// build publishes what a builder would.
func build(ctx context.Context, client *fanfare.Client, deployment string) error {
	for _, stage := range stages {
		_, err := client.Publish(ctx, fanfare.Publication{
			Stream: "deployments", Type: "deployment_update", ID: deployment, LeaseMS: 60_000,
			Data: map[string]any{
				"status": stage.status, "progress": stage.progress,
				"message": fmt.Sprintf("%s: %d %%", stage.status, stage.progress),
			},
		})
		if err != nil {
			return err
		}
	}
	return nil
}
