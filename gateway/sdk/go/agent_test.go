package fanfare

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

// run starts an agent that ends with the test, and returns what Run will return.
func (d *double) run(agent *Agent) <-chan error {
	agent.URL, agent.Options.Token, agent.Options.Backoff = d.url, "t", soon
	ctx, cancel := context.WithCancel(bg)
	ended, result := make(chan struct{}), make(chan error, 1)
	go func() {
		defer close(ended)
		result <- agent.Run(ctx)
	}()
	d.t.Cleanup(func() {
		cancel()
		<-ended
	})
	return result
}

// ready waits for the agent, welcomes it and takes its status.
func (d *double) ready() (*talk, object) {
	d.t.Helper()
	talk := d.welcomed()
	status := talk.hear("agent-status")
	talk.say(object{"type": "ack", "message": "Status updated"})
	return talk, status
}

func metadata(status object) object {
	said, _ := status["metadata"].(object)
	return said
}

func running(status object) string { return fmt.Sprint(metadata(status)["running"]) }

func task(attempt int, more ...object) object {
	frame := object{"type": "task", "taskId": "t1", "taskType": "codex", "payload": object{"n": 2}}
	if attempt > 0 {
		frame["attempt"], frame["graceMs"] = attempt, 30000
	}
	for _, one := range more {
		for key, value := range one {
			frame[key] = value
		}
	}
	return frame
}

// patient works until it may end, or must.
func patient(end <-chan struct{}, stopped chan<- string) Handler {
	return func(ctx context.Context, job *Job) (any, error) {
		select {
		case <-end:
			return "done", nil
		case <-ctx.Done():
			stopped <- job.Cancelled()
			return nil, ctx.Err()
		}
	}
}

func TestAnAgentSaysWhatItCanAcceptsReportsAndAnswers(t *testing.T) {
	d := newDouble(t)
	handler := func(_ context.Context, job *Job) (any, error) {
		var payload struct{ N int }
		var before int
		_ = json.Unmarshal(job.Payload, &payload)
		_ = json.Unmarshal(job.Dependencies[0].Result, &before)
		job.Log("one", "two")
		job.Progress(0.5, "half")
		return object{"sum": payload.N + before, "type": job.Type}, nil
	}
	agent := &Agent{
		Capabilities: []string{"build"}, Slots: 2, Metadata: object{"os": "linux"}, Handler: handler,
	}
	ctx, cancel := context.WithCancel(bg)
	agent.URL, agent.Options.Token = d.url, "t"
	ended := make(chan error, 1)
	go func() { ended <- agent.Run(ctx) }()
	talk, status := d.ready()
	if sent := talk.request.Header.Get("Authorization"); sent != "Bearer t" {
		t.Fatal(sent)
	}
	expected := object{"os": "linux", "slots": 2.0, "accepts": true, "cancels": true, "running": []any{}}
	if !reflect.DeepEqual(metadata(status), expected) {
		t.Fatal(status)
	}
	talk.say(task(1, object{"dependencies": []object{{"taskId": "t0", "result": 3}}}))
	if accept := talk.hear("task-accept"); accept["taskId"] != "t1" || accept["attempt"] != 1.0 {
		t.Fatal(accept)
	}
	if log := talk.hear("task-log"); fmt.Sprint(log["lines"]) != "[one two]" {
		t.Fatal(log)
	}
	if progress := talk.hear("task-progress"); progress["progress"] != 0.5 || progress["message"] != "half" {
		t.Fatal(progress)
	}
	result := talk.hear("task-result")
	if result["status"] != "completed" || fmt.Sprint(result["result"]) != "map[sum:5 type:codex]" {
		t.Fatal(result)
	}
	cancel()
	if offline := talk.hear("agent-status"); offline["status"] != "offline" {
		t.Fatal(offline)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

func TestAFailureIsAResultAndSoIsAPanic(t *testing.T) {
	d := newDouble(t)
	d.run(&Agent{Handler: func(_ context.Context, job *Job) (any, error) {
		job.Progress(0.1, "") // A task for all knows no progress.
		if job.ID == "t2" {
			panic("oh")
		}
		return nil, errors.New("no disk")
	}})
	talk, _ := d.ready()
	talk.say(task(0))
	expected := object{
		"type": "task-result", "taskId": "t1", "status": "failed", "result": object{"error": "no disk"},
	}
	if result := talk.hear("task-result"); !reflect.DeepEqual(result, expected) {
		t.Fatal(result)
	}
	talk.say(task(0, object{"taskId": "t2"}))
	if result := talk.hear("task-result"); fmt.Sprint(result["result"]) != "map[error:panic: oh]" {
		t.Fatal(result)
	}
}

func TestAResultIsSentAgainUntilItIsRecorded(t *testing.T) {
	d := newDouble(t)
	d.run(&Agent{Handler: func(context.Context, *Job) (any, error) { return 7, nil }})
	talk, _ := d.ready()
	talk.say(task(1))
	talk.hear("task-accept")
	first := talk.hear("task-result")
	talk.cut()
	talk, status := d.ready()
	if running(status) != "[map[attempt:1 taskId:t1]]" {
		t.Fatal(status)
	}
	for n := 0; n < 2; n++ {
		if again := talk.hear("task-result"); !reflect.DeepEqual(again, first) {
			t.Fatal(again)
		}
		if n == 0 {
			talk.say(task(1)) // It is handed over again, as the server did not know.
		}
	}
	talk.say(object{"type": "task-recorded", "taskId": "t1", "attempt": 1})
	time.Sleep(100 * time.Millisecond)
	talk.cut()
	talk, status = d.ready()
	if running(status) != "[]" {
		t.Fatal(status)
	}
	talk.silence(300 * time.Millisecond)
}

func TestWorkGoesOnOverAReconnection(t *testing.T) {
	d := newDouble(t)
	end := make(chan struct{})
	d.run(&Agent{Handler: patient(end, make(chan string, 1))})
	talk, _ := d.ready()
	talk.say(task(3))
	talk.hear("task-accept")
	talk.cut()
	talk, status := d.ready()
	if running(status) != "[map[attempt:3 taskId:t1]]" {
		t.Fatal(status)
	}
	talk.say(task(3)) // Known: it is not begun twice.
	talk.silence(200 * time.Millisecond)
	close(end)
	if result := talk.hear("task-result"); result["attempt"] != 3.0 {
		t.Fatal(result)
	}
	talk.silence(200 * time.Millisecond)
}

func TestACancelledJobEndsWithoutAWord(t *testing.T) {
	d := newDouble(t)
	stopped := make(chan string, 2)
	d.run(&Agent{Handler: patient(nil, stopped)})
	talk, _ := d.ready()
	talk.say(task(1))
	talk.hear("task-accept")
	cancel := object{"type": "task-cancel", "taskId": "t1", "attempt": 9, "reason": "cancelled"}
	talk.say(cancel) // Of another attempt.
	talk.silence(100 * time.Millisecond)
	if len(stopped) > 0 {
		t.Fatal("stopped by another attempt's cancel")
	}
	cancel["attempt"] = 1
	talk.say(cancel)
	if why := <-stopped; why != "cancelled" {
		t.Fatal(why)
	}
	talk.silence(200 * time.Millisecond)
	talk.say(task(2))
	if accept := talk.hear("task-accept"); accept["attempt"] != 2.0 {
		t.Fatal(accept)
	}
}

func TestAJobMayBeRefused(t *testing.T) {
	d := newDouble(t)
	d.run(&Agent{
		Refuse:  func(job *Job) string { return "no " + job.Type },
		Handler: func(context.Context, *Job) (any, error) { panic("begun") },
	})
	talk, _ := d.ready()
	talk.say(task(1))
	if reject := talk.hear("task-reject"); reject["reason"] != "no codex" {
		t.Fatal(reject)
	}
}

func TestAnAgentPingsAndStopsWorkWhenNothingAnswersForTheGrace(t *testing.T) {
	d := newDouble(t)
	stopped := make(chan string, 1)
	d.run(&Agent{Handler: patient(nil, stopped)})
	talk, _ := d.ready()
	talk.say(task(1, object{"graceMs": 1500}))
	talk.hear("task-accept")
	talk.hear("ping")
	talk.say(object{"type": "pong"})
	heard := time.Now()
	talk.hear("ping")
	if waited := time.Since(heard); waited > 1400*time.Millisecond {
		t.Fatal(waited)
	}
	if why := <-stopped; why != "lost" {
		t.Fatal(why)
	}
	if waited := time.Since(heard); waited < 1200*time.Millisecond || waited > 3*time.Second {
		t.Fatal(waited)
	}
	talk.cut()
	if _, status := d.ready(); running(status) != "[]" {
		t.Fatal(status)
	}
}

func TestAtADrainAnAgentOpensTheNextSocketFirst(t *testing.T) {
	d := newDouble(t)
	end := make(chan struct{})
	d.run(&Agent{Handler: patient(end, make(chan string, 1))})
	old, _ := d.ready()
	old.say(task(1))
	old.hear("task-accept")
	old.say(object{"type": "bye", "reason": "x", "reconnect": true, "after_ms": 50})
	fresh, status := d.ready()
	if running(status) != "[map[attempt:1 taskId:t1]]" {
		t.Fatal(status)
	}
	old.wait()
	close(end)
	fresh.hear("task-result")
}

func TestAResultThatIsTooLargeIsAFailure(t *testing.T) {
	d := newDouble(t)
	d.run(&Agent{Handler: func(context.Context, *Job) (any, error) {
		return strings.Repeat("x", 10_000), nil
	}})
	talk := d.welcomed(object{"limits": object{"frame_bytes": 9000}})
	talk.hear("agent-status")
	talk.say(task(1))
	talk.hear("task-accept")
	if result := talk.hear("task-result"); fmt.Sprint(result["result"]) != "map[error:too_large]" {
		t.Fatal(result)
	}
}

func TestAnAgentThatIsRefusedEnds(t *testing.T) {
	d := newDouble(t)
	ended := d.run(&Agent{Handler: func(context.Context, *Job) (any, error) { return nil, nil }})
	d.talk().close(4003)
	var failure *Error
	if err := <-ended; !errors.As(err, &failure) || failure.Status != 4003 {
		t.Fatal(err)
	}
}
