package fanfare

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.org/fanfare/fanfaretest"
)

// program builds a program of this module.
func program(t *testing.T, what string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "program")
	built := exec.Command("go", "build", "-o", binary, what)
	if said, err := built.CombinedOutput(); err != nil {
		t.Fatalf("%s: %s", what, said)
	}
	return binary
}

// output runs a program to its end.
func output(t *testing.T, binary, url string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(bg, time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, binary)
	command.Env = append(os.Environ(), "FANFARE_URL="+url, "FANFARE_TOKEN=")
	said, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	return string(said)
}

func TestTheFirstProgramOfTheREADMERunsAsItStands(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	first := regexp.MustCompile("(?s)```go\n(.*?)```").FindSubmatch(readme)
	// Inside the module, so that it finds the package; the dot hides it from `./...`.
	folder, err := os.MkdirTemp(".", ".readme-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	if err := os.WriteFile(filepath.Join(folder, "main.go"), first[1], 0o600); err != nil {
		t.Fatal(err)
	}
	said := output(t, program(t, "./"+folder), fanfaretest.Start(t).URL)
	if !strings.Contains(said, "deployment_update") || !strings.Contains(said, "success") {
		t.Fatal(said)
	}
}

func TestABuildIsFollowedToItsEnd(t *testing.T) {
	t.Parallel()
	said := output(t, program(t, "./examples/follow"), fanfaretest.Start(t).URL)
	if !strings.Contains(said, "100 % success") {
		t.Fatal(said)
	}
}

func TestTheAgentCountsWords(t *testing.T) {
	d := newDouble(t)
	agent := exec.Command(program(t, "./examples/agent"))
	agent.Env = append(os.Environ(), "FANFARE_URL="+d.url, "FANFARE_TOKEN=")
	var wrong bytes.Buffer
	agent.Stderr = &wrong
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	talk := d.welcomed()
	talk.hear("agent-status")
	talk.say(object{
		"type": "task", "taskId": "t", "taskType": "count",
		"payload": object{"texts": []string{"one two", "three"}},
	})
	if result := talk.hear("task-result"); fmt.Sprint(result["result"]) != "map[words:3]" {
		t.Fatal(result)
	}
	_ = agent.Process.Signal(syscall.SIGTERM)
	if err := agent.Wait(); err != nil {
		t.Fatal(err, wrong.String())
	}
}
