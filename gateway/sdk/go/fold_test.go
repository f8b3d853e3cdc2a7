package fanfare

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// vector is one case of tests/vectors/fold, which every client runs.
type vector struct {
	Name   string `json:"name"`
	Entity string `json:"entity"`
	ID     string `json:"id"`
	State  State  `json:"state"`
	Event  struct {
		Type string          `json:"type"`
		ID   string          `json:"id"`
		Data json.RawMessage `json:"data"`
		At   int64           `json:"at"`
	} `json:"event"`
	Recorded int64 `json:"recorded"`
	Result   State `json:"result"`
}

func TestTheFoldFollowsTheVectors(t *testing.T) {
	files, err := filepath.Glob("../../../tests/vectors/fold/*.json")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skip("no vectors here")
	}
	for _, file := range files {
		for i, one := range vectors(t, file) {
			if folds[one.Entity] == nil {
				continue
			}
			if one.ID == "" {
				one.ID = one.Event.ID
			}
			t.Run(fmt.Sprintf("%s-%d-%s", filepath.Base(file), i, one.Name), func(t *testing.T) {
				event := &Event{
					Type: one.Event.Type, ID: one.Event.ID, Data: one.Event.Data,
					At: one.Event.At, Recorded: one.Recorded,
				}
				result := Fold(one.Entity+":"+one.ID, one.State, event)
				if !reflect.DeepEqual(byValue(map[string]any(result)), byValue(map[string]any(one.Result))) {
					t.Errorf("%v\ninstead of %v", result, one.Result)
				}
			})
		}
	}
}

// vectors reads a file with one case, a list of them, or {"cases": […]}.
func vectors(t *testing.T, file string) []vector {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	read := func(into any) error {
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber()
		return decoder.Decode(into)
	}
	var many []vector
	if read(&many) == nil {
		return many
	}
	var listed struct{ Cases []vector }
	if err := read(&listed); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	if listed.Cases != nil {
		return listed.Cases
	}
	var one vector
	if err := read(&one); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return []vector{one}
}

// byValue makes numbers comparable, however they are written.
func byValue(value any) any {
	switch value := value.(type) {
	case json.Number:
		if number, err := value.Float64(); err != nil || number == 0 {
			return value // Beyond what a machine can say.
		}
		if number, ok := new(big.Rat).SetString(string(value)); ok {
			return number.RatString()
		}
	case []any:
		list := make([]any, len(value))
		for i, one := range value {
			list[i] = byValue(one)
		}
		return list
	case map[string]any:
		object := make(map[string]any, len(value))
		for key, one := range value {
			object[key] = byValue(one)
		}
		return object
	}
	return value
}

func happened(kind, data string, recorded int64) *Event {
	return &Event{Type: kind, Data: json.RawMessage(data), At: recorded, Recorded: recorded}
}

func TestADeploymentStampsItsLinesAndKeepsTime(t *testing.T) {
	state := Fold("deployment:d", nil, happened("deployment_update", `{"message":"one"}`, 5000))
	state = Fold("deployment:d", state, happened("deployment_log", `{"lines":["two"]}`, 4000))
	logs := fmt.Sprint(state["logs"])
	if logs != "[[1970-01-01T00:00:05.000Z] one [1970-01-01T00:00:04.000Z] two]" {
		t.Fatal(logs)
	}
	if state["timestamp"] != json.Number("5000") {
		t.Fatal(state)
	}
}

func TestATaskWhoseLogsAreATextKeepsItsLines(t *testing.T) {
	before := State{"logs": "one\r\ntwo\n"}
	state := Fold("task:t", before, happened("task_log", `{"message":"three"}`, 1))
	if logs := fmt.Sprint(state["logs"]); logs != "[one two three]" {
		t.Fatal(logs)
	}
	state = Fold("task:t", state, happened("task_result", `{"error":"x"}`, 1))
	if result, said := state["result"]; !said || result != nil || state["status"] != "failed" {
		t.Fatal(state)
	}
	if len(before) != 1 {
		t.Fatal("what was given is changed")
	}
}

func TestAnExitCodeMayBeAText(t *testing.T) {
	for code, status := range map[string]string{"0": "completed", "2": "failed", "x": "completed"} {
		state := Fold("container:c", nil, happened("complete", fmt.Sprintf(`{"exitCode":%q}`, code), 1))
		if state["status"] != status {
			t.Fatal(code, state)
		}
	}
	state := Fold("container:c", State{"lines": json.Number("3")}, happened("log", `{}`, 1))
	if state["lines"] != json.Number("4") {
		t.Fatal(state)
	}
}

func TestLogLinesAreBoundedInNumberAndBytes(t *testing.T) {
	lines := make([]string, 90)
	for n := range lines {
		lines[n] = fmt.Sprint(n) + strings.Repeat("ä", 1500)
	}
	data, _ := json.Marshal(map[string]any{"lines": lines})
	state := Fold("task:t", nil, happened("task_log", string(data), 1))
	logs, _ := state["logs"].([]any)
	total := 0
	for _, line := range logs {
		total += size(line)
	}
	if total > logBytesMax || logs[len(logs)-1] != lines[89] {
		t.Fatal(total)
	}
	data, _ = json.Marshal(map[string]any{"lines": []string{strings.Repeat("ä", 100_000)}})
	state = Fold("task:t", nil, happened("task_log", string(data), 1))
	logs, _ = state["logs"].([]any)
	if size(logs[0]) != logBytesMax {
		t.Fatal(size(logs[0]))
	}
}

func TestFreeMessagesAndFeedsAreNotFolded(t *testing.T) {
	free := happened("agent_status", `{"status":"x"}`, 1)
	free.Free = true
	if state := Fold("agent:a", State{"status": "idle"}, free); state["status"] != "idle" {
		t.Fatal(state)
	}
	if state := Fold("agents", nil, happened("agent_status", `{"status":"x"}`, 1)); state != nil {
		t.Fatal(state)
	}
}
