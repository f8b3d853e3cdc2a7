package fanfare

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// logLinesMax is the most log lines that a state keeps.
	logLinesMax = 100
	// logBytesMax is the most bytes of log lines that a state keeps; older lines go first.
	logBytesMax = 128 * 1024
)

// fold goes from one state of an entity to the next; it may change the state, never what is in it.
type fold func(id string, state State, data State, event *Event) State

var folds = map[string]fold{
	"deployment": foldDeployment,
	"task":       foldTask,
	"agent":      foldAgent,
	"container":  foldContainer,
}

var foldedTypes = map[string]map[string]bool{
	"deployment": {"deployment_update": true, "deployment_log": true},
	"task":       {"task_created": true, "task_update": true, "task_log": true, "task_result": true},
	"agent":      {"agent_status": true, "agent_update": true},
	"container":  {"log": true, "status": true, "error": true, "complete": true},
}

// Fold returns the state of the channel's entity after an event, by the server's own rules
// (shared/src/event/*.rs; tests/vectors/fold, which every client runs, holds them together). It
// changes nothing that it was given. Free messages, and events of other kinds, change no state.
func Fold(channel string, state State, event *Event) State {
	entity, id, _ := strings.Cut(channel, ":")
	folding := folds[entity]
	if folding == nil || event.Free || !foldedTypes[entity][event.Type] {
		return state
	}
	var copied State
	if state != nil {
		copied = make(State, len(state)+2)
		for key, value := range state {
			copied[key] = value
		}
	}
	return folding(id, copied, decoded(event.Data), event)
}

// foldDeployment merges an update shallowly, or appends log lines; time never runs backwards.
func foldDeployment(id string, state State, data State, event *Event) State {
	if state == nil {
		state = State{
			"id": id, "projectId": id, "status": "pending", "progress": number(0),
			"stage": "Initializing", "timestamp": number(event.Recorded),
		}
	}
	logs := takeLogs(state)
	stamp := "[" + iso(event.Recorded) + "] "
	var lines []string
	if event.Type == "deployment_log" {
		lines = logLines(data)
	} else {
		if given, ok := data["logs"].([]any); ok {
			logs = given
		}
		merge(state, data, "logs", "timestamp")
		if message, ok := data["message"].(string); ok && message != "" {
			lines = []string{message}
		}
	}
	for i := range lines {
		lines[i] = stamp + lines[i]
	}
	state["logs"] = appendLines(logs, lines)
	latest := whole(state["timestamp"])
	if latest < event.Recorded {
		latest = event.Recorded
	}
	state["timestamp"] = number(latest)
	return state
}

// foldTask merges an event of a task; times are Unix seconds.
func foldTask(id string, state State, data State, event *Event) State {
	seconds := number(event.Recorded / 1000)
	if state == nil {
		state = State{"id": id, "status": "pending"}
	}
	if event.Type == "task_log" {
		state["logs"] = appendLines(takeLogs(state), logLines(data))
	} else {
		merge(state, data, "id", "created_at", "updated_at")
	}
	if event.Type == "task_created" {
		setDefault(state, "created_at", seconds)
	}
	if event.Type == "task_result" {
		if _, said := data["status"]; !said {
			state["status"] = "completed"
			if data["error"] != nil {
				state["status"] = "failed"
			}
		}
		setDefault(state, "result", nil)
	}
	state["updated_at"] = seconds
	return state
}

// foldAgent merges an agent's status; its name is its id until it says another.
func foldAgent(id string, state State, data State, event *Event) State {
	if state == nil {
		state = State{}
	}
	state["agentId"] = id
	setDefault(state, "agentName", id)
	merge(state, data, "agentId")
	state["updated_at"] = number(event.Recorded)
	return state
}

// foldContainer counts lines and remembers the last status.
func foldContainer(id string, state State, data State, event *Event) State {
	if state == nil {
		state = State{"id": id, "status": "starting", "lines": number(0)}
	}
	switch event.Type {
	case "log":
		lines := whole(state["lines"])
		if lines < 0 {
			lines = 0
		}
		state["lines"] = number(lines + 1)
	case "status":
		take(state, data, "status", "message")
	case "error":
		take(state, data, "error", "code")
	case "complete":
		take(state, data, "exitCode", "message", "duration")
		state["status"] = "completed"
		if whole(data["exitCode"]) != 0 {
			state["status"] = "failed"
		}
	}
	state["updated_at"] = number(event.Recorded)
	return state
}

// decoded reads an object; its numbers keep their digits.
func decoded(raw json.RawMessage) State {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	read := State{}
	if decoder.Decode(&read) != nil || read == nil {
		return State{}
	}
	return read
}

func number(n int64) json.Number { return json.Number(strconv.FormatInt(n, 10)) }

// whole reads a whole number; 0 for what is none.
func whole(value any) int64 {
	digits, _ := value.(json.Number)
	n, err := strconv.ParseInt(string(digits), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func merge(state, data State, but ...string) {
	for key, value := range data {
		own := false
		for _, kept := range but {
			own = own || key == kept
		}
		if !own {
			state[key] = value
		}
	}
}

func take(state, data State, keys ...string) {
	for _, key := range keys {
		if value, said := data[key]; said {
			state[key] = value
		}
	}
}

func setDefault(state State, key string, value any) {
	if _, there := state[key]; !there {
		state[key] = value
	}
}

// iso writes milliseconds since 1970 as 2026-11-20T10:30:51.123Z.
func iso(ms int64) string {
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z")
}

// logLines are the lines of a log event: lines, else message.
func logLines(data State) []string {
	given, many := data["lines"].([]any)
	if !many {
		message, said := data["message"]
		if !said {
			return nil
		}
		given = []any{message}
	}
	lines := make([]string, len(given))
	for i, line := range given {
		lines[i] = text(line)
	}
	return lines
}

func text(value any) string {
	if text, ok := value.(string); ok {
		return text
	}
	var written bytes.Buffer
	encoder := json.NewEncoder(&written)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(value)
	return strings.TrimSuffix(written.String(), "\n")
}

// takeLogs are the lines of a state's log tail, whatever stands there.
func takeLogs(state State) []any {
	switch logs := state["logs"].(type) {
	case []any:
		return logs
	case string:
		var lines []any
		for _, line := range strings.SplitAfter(logs, "\n") {
			if line != "" {
				line = strings.TrimSuffix(line, "\n")
				lines = append(lines, strings.TrimSuffix(line, "\r"))
			}
		}
		return lines
	}
	return nil
}

// appendLines appends to a log tail and keeps it within its bounds.
func appendLines(before []any, lines []string) []any {
	logs := make([]any, 0, len(before)+len(lines))
	logs = append(logs, before...)
	for _, line := range lines {
		logs = append(logs, line)
	}
	if surplus := len(logs) - logLinesMax; surplus > 0 {
		logs = logs[surplus:]
	}
	excess := -logBytesMax
	for _, line := range logs {
		excess += size(line)
	}
	for excess > 0 && len(logs) > 1 {
		excess -= size(logs[0])
		logs = logs[1:]
	}
	if excess > 0 {
		if line, ok := logs[0].(string); ok {
			end := logBytesMax
			for end > 0 && !utf8.RuneStart(line[end]) {
				end--
			}
			logs[0] = line[:end]
		}
	}
	return logs
}

func size(line any) int {
	if line, ok := line.(string); ok {
		return len(line)
	}
	return 64
}
