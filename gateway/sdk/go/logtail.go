package fanfare

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// logLinesMax is the most log lines that a state keeps.
	logLinesMax = 100
	// logBytesMax is the most bytes of log lines that a state keeps; older lines go first.
	logBytesMax = 128 * 1024
	// otherLineBytes is what counts for a line that is no text.
	otherLineBytes = 64
	// latestMS is the last time that is written as such.
	latestMS = 253_370_764_799_999
)

// iso writes milliseconds since 1970 as 2026-11-20T10:30:51.123Z; 1970 for what is no time.
func iso(ms int64) string {
	if ms < 0 || ms > latestMS {
		ms = 0
	}
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
	return otherLineBytes
}
