package fanfare_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"

	"example.org/fanfare"
)

func TestWorkIsRecordedLookedAtCancelledAndBegunAnew(t *testing.T) {
	var heard []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		heard = append(heard, r.Method+" "+r.URL.EscapedPath()+" "+string(body))
		if len(heard) == 3 {
			w.WriteHeader(http.StatusConflict)
		}
		_, _ = w.Write([]byte(`{"task":"t/1"}`))
	}))
	defer server.Close()
	client := fanfare.New(server.URL, fanfare.Options{})
	defer client.Close()
	ctx := context.Background()
	task := fanfare.NewTask{ID: "t/1", Title: "Build", Requires: []string{"gpu"}}
	if said, err := client.CreateTask(ctx, task); err != nil || string(said) != `{"task":"t/1"}` {
		t.Fatal(string(said), err)
	}
	if _, err := client.Task(ctx, "t/1"); err != nil {
		t.Fatal(err)
	}
	_, err := client.CancelTask(ctx, "t/1", "too late")
	var failure *fanfare.Error
	if !errors.As(err, &failure) || failure.Status != http.StatusConflict {
		t.Fatal(err)
	}
	if _, err := client.RetryTask(ctx, "t/1"); err != nil {
		t.Fatal(err)
	}
	expected := []string{
		`POST /v1/tasks {"id":"t/1","title":"Build","requires":["gpu"]}`,
		`GET /v1/tasks/t%2F1 `,
		`POST /v1/tasks/t%2F1/cancel {"reason":"too late"}`,
		`POST /v1/tasks/t%2F1/retry {}`,
	}
	if !reflect.DeepEqual(heard, expected) {
		t.Fatal(heard)
	}
}
