// Publishes with go-redis: go-client HOST:PORT PROTOCOL ID.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

func main() {
	address, deployment := os.Args[1], os.Args[3]
	protocol, err := strconv.Atoi(os.Args[2])
	check(err)
	ctx := context.Background()
	client := redis.NewClient(&redis.Options{Addr: address, Protocol: protocol})
	defer client.Close()

	publish := func(to redis.Cmdable, number int) *redis.StringCmd {
		return to.XAdd(ctx, &redis.XAddArgs{
			Stream: "fanfare:deployments",
			Values: []any{"type", "deployment_update", "id", deployment, "data", fmt.Sprintf(`{"n":%d}`, number)},
		})
	}

	check(client.Ping(ctx).Err())
	entry, err := publish(client, 0).Result()
	check(err)
	entries, err := client.XRange(ctx, "fanfare:deployments", entry, entry).Result()
	check(err)
	if len(entries) != 1 || entries[0].Values["id"] != deployment {
		log.Fatalf("another entry: %v", entries)
	}

	many := func(from, to int) func(redis.Pipeliner) error {
		return func(pipeline redis.Pipeliner) error {
			for number := from; number < to; number++ {
				publish(pipeline, number)
			}
			return nil
		}
	}
	_, err = client.Pipelined(ctx, many(1, 1001))
	check(err)
	_, err = client.TxPipelined(ctx, many(1001, 1011))
	check(err)

	err = client.Set(ctx, "a", "b", 0).Err()
	if err == nil || !strings.Contains(err.Error(), "this is Fanfare") {
		log.Fatalf("SET is no command here: %v", err)
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
