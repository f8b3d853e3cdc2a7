package fanfare

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"

	"example.org/fanfare/fanfaretest"
)

// said is an answer, and then what was asked.
type said struct {
	status        int
	body          string
	authorization string
	asked         string
}

// answering answers requests one after the other, and keeps what they said.
func answering(t *testing.T, answers ...*said) string {
	left := answers
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked, _ := io.ReadAll(r.Body)
		one := left[0]
		left = left[1:]
		one.authorization, one.asked = r.Header.Get("Authorization"), string(asked)
		w.WriteHeader(one.status)
		_, _ = io.WriteString(w, one.body)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestWhatCannotBeTakenNowIsSentAgainWithTheSameID(t *testing.T) {
	recorded := `{"published":[{"index":0,"channel":"tasks","position":"e-1"}]}`
	answers := []*said{{status: 503}, {status: 504, body: `{"items":[]}`}, {status: 200, body: recorded}}
	client := New(answering(t, answers...), Options{Token: "t", Backoff: soon})
	defer client.Close()
	done, err := client.Publish(bg, Publication{Stream: "tasks", Type: "task_created", ID: "t"})
	if err != nil || len(done) != 1 || done[0].Position != "e-1" {
		t.Fatal(done, err)
	}
	if !strings.Contains(answers[0].asked, "event_id") || answers[0].asked != answers[2].asked {
		t.Fatal(answers[0].asked, answers[2].asked)
	}
	if answers[0].authorization != "Bearer t" {
		t.Fatal(answers[0].authorization)
	}
}

func TestATokenThatHTTPRefusesIsReplacedOnce(t *testing.T) {
	answers := []*said{{status: 401}, {status: 202, body: `{"accepted":1}`}}
	asked := 0
	source := func(context.Context) (string, error) {
		asked++
		return fmt.Sprintf("t%d", asked), nil
	}
	client := New(answering(t, answers...), Options{TokenSource: source, Backoff: soon})
	defer client.Close()
	done, err := client.Publish(bg, Publication{Stream: "topics", Type: "x", ID: "t"})
	if err != nil || len(done) != 0 {
		t.Fatal(done, err)
	}
	if answers[0].authorization != "Bearer t1" || answers[1].authorization != "Bearer t2" {
		t.Fatal(answers[1].authorization)
	}
}

func TestManyGoInBatchesThatTheServerTakes(t *testing.T) {
	t.Parallel()
	server := fanfaretest.Start(t, "PUBLISH_PER_SECOND=10000")
	client := New(server.URL, Options{})
	defer client.Close()
	many := make([]Publication, 1500)
	for n := range many {
		many[n] = Publication{Stream: "messages", Type: "x", ID: fmt.Sprintf("u%d", n), Data: object{"n": n}}
	}
	done, err := client.Publish(bg, many...)
	if err != nil || len(done) != len(many) || done[1400].Index != 1400 {
		t.Fatal(len(done), err)
	}
}

func TestProblemsAreTyped(t *testing.T) {
	t.Parallel()
	client := New(fanfaretest.Start(t).URL, Options{})
	defer client.Close()
	good := Publication{Stream: "tasks", Type: "task_created", ID: "t", Data: object{"title": "x"}}
	bad := Publication{Stream: "tasks", Type: "task_created", ID: "t", Data: object{}}
	_, err := client.Publish(bg, good, bad)
	failure, is := err.(*Error)
	if !is || failure.Status != 400 || len(failure.Problems) != 1 {
		t.Fatal(err)
	}
	if wrong := failure.Problems[0]; wrong.Index != 1 || wrong.Path != "data.title" {
		t.Fatal(wrong)
	}
}

// redis starts a Redis of the test's own.
func redis(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("no redis-server here")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	_, port, _ := net.SplitHostPort(address)
	process := exec.Command(program, "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", t.TempDir())
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = process.Process.Kill()
		_ = process.Wait()
	})
	until(t, "redis answers", func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	return "redis://" + address
}

func TestAnXADDIsAnEvent(t *testing.T) {
	t.Parallel()
	redis := redis(t)
	server := fanfaretest.Start(t, "REDIS_URL="+redis)
	client := New(server.URL, Options{})
	defer client.Close()
	publisher, err := NewRedisPublisher(redis)
	if err != nil {
		t.Fatal(err)
	}
	defer publisher.Close()
	sub := subscribe(t, client, "deployment:d1", Wish{})
	next[*Subscribed](t, sub)
	one := Publication{
		Stream: "deployments", Type: "deployment_update", ID: "d1", EventID: "e1",
		Data: object{"status": "building", "name": "ä\r\n"},
	}
	ids, err := publisher.Publish(bg, one, one)
	if err != nil || len(ids) != 2 || ids[0] == "" {
		t.Fatal(ids, err)
	}
	event := next[*Event](t, sub)
	var data object
	if json.Unmarshal(event.Data, &data); data["name"] != "ä\r\n" {
		t.Fatal(string(event.Data))
	}
	page, err := client.History(bg, "deployment:d1", Query{})
	if err != nil || len(page.Events) != 1 {
		t.Fatal(page, err)
	}
}

func TestAllEventsOfAnIDGoToOnePartition(t *testing.T) {
	publisher, err := NewRedisPublisher(redis(t))
	if err != nil {
		t.Fatal(err)
	}
	defer publisher.Close()
	one := Publication{Stream: "deployments", Type: "deployment_update", ID: "123456789"}
	for partitions, key := range map[int]string{4: "fanfare:deployments:2", 1: "fanfare:deployments"} {
		if named := publisher.Key(one, partitions); named != key {
			t.Fatal(named)
		}
	}
	if key := publisher.Key(Publication{Stream: "messages"}, 4); key != "fanfare:messages" {
		t.Fatal(key)
	}
	if _, err := publisher.Publish(bg, one); err != nil {
		t.Fatal(err)
	}
	publisher.inForce = 0
	if _, err := publisher.conn.do(bg, []string{"SET", "fanfare:partitions", "4"}); err != nil {
		t.Fatal(err)
	}
	if _, err := publisher.Publish(bg, one); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"fanfare:deployments", "fanfare:deployments:2"} {
		if length, err := publisher.conn.do(bg, []string{"XLEN", key}); err != nil || length[0] != "1" {
			t.Fatal(key, length, err)
		}
	}
	if _, err := publisher.conn.do(bg, []string{"NONSENSE"}, []string{"PING"}); err == nil {
		t.Fatal("no error")
	}
	if _, err := NewRedisPublisher("http://x"); err == nil {
		t.Fatal("no error")
	}
}
