package fanfare

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
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
	"task": {
		"task_created": true, "task_update": true, "task_log": true, "task_result": true,
		"task_progress": true, "task_assigned": true, "task_accepted": true, "task_released": true,
		"task_cancelled": true, "task_expired": true, "task_retried": true,
	},
	"agent":     {"agent_status": true, "agent_update": true},
	"container": {"log": true, "status": true, "error": true, "complete": true},
}

// steps are those of a task for one: its status, what is copied, what becomes null.
var steps = map[string]struct {
	status          string
	copied, cleared []string
}{
	"task_assigned":  {"assigned", []string{"attempt", "agent"}, nil},
	"task_accepted":  {"running", []string{"attempt", "agent"}, nil},
	"task_released":  {"pending", []string{"attempt"}, []string{"agent"}},
	"task_cancelled": {"cancelled", []string{"attempt", "reason"}, nil},
	"task_expired":   {"expired", nil, nil},
	"task_retried":   {"pending", nil, []string{"agent", "result", "reason"}},
}

// Fold returns the state of the channel's entity after an event, by the server's own rules
// (shared/domain/src/event; tests/vectors/fold, which every client runs, holds them together). It
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
	step, isStep := steps[event.Type]
	switch {
	case isStep:
		state["status"] = step.status
		take(state, data, step.copied...)
		for _, key := range step.cleared {
			state[key] = nil
		}
	case event.Type == "task_log":
		state["logs"] = appendLines(takeLogs(state), logLines(data))
	case event.Type == "task_progress":
		take(state, data, "progress", "message")
		if status := state["status"]; status == "pending" || status == "assigned" {
			state["status"] = "running"
		}
	default:
		merge(state, data, "id", "created_at", "updated_at")
	}
	if event.Type == "task_created" {
		setDefault(state, "created_at", seconds)
	}
	if event.Type == "task_result" {
		if _, said := data["status"].(string); !said {
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
		if isFailure(data["exitCode"]) {
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
	read := map[string]any{}
	if decoder.Decode(&read) != nil || read == nil {
		return State{}
	}
	clean, _ := readable(read).(map[string]any)
	return clean
}

// readable replaces NUL, as the server's states do; the decoder has replaced half surrogate pairs.
func readable(value any) any {
	switch value := value.(type) {
	case string:
		return strings.ReplaceAll(value, "\x00", "\ufffd")
	case []any:
		for i, one := range value {
			value[i] = readable(one)
		}
	case map[string]any:
		for key, one := range value {
			clean := readable(one)
			if plain, _ := readable(key).(string); plain != key {
				delete(value, key)
				key = plain
			}
			value[key] = clean
		}
	}
	return value
}

// isFailure says whether an exit code, a number or its digits, is not 0.
func isFailure(code any) bool {
	switch code := code.(type) {
	case json.Number:
		number, _ := strconv.ParseFloat(string(code), 64)
		return number != 0
	case string:
		digits := strings.TrimPrefix(code, "-")
		return strings.Trim(digits, "0123456789") == "" && strings.Trim(digits, "0") != ""
	}
	return false
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
