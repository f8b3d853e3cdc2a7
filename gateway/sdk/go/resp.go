package fanfare

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// redisAnswerMax is the longest text that Redis may answer with; ours are ids and numbers.
const redisAnswerMax = 64 << 10

// redisAfter is how long Redis may take where the context says nothing.
const redisAfter = 10 * time.Second

// redisConn speaks as much of the Redis protocol (RESP 2) as publishing needs.
type redisConn struct {
	conn net.Conn
	read *bufio.Reader
}

// redisError is an answer that is an error; the connection goes on.
type redisError string

func (e redisError) Error() string { return "redis: " + string(e) }

// dialRedis connects to redis[s]://[user:password@]host[:port][/database].
func dialRedis(ctx context.Context, address *url.URL) (*redisConn, error) {
	port := address.Port()
	if port == "" {
		port = "6379"
	}
	host := net.JoinHostPort(address.Hostname(), port)
	dialer := &net.Dialer{Timeout: redisAfter}
	conn, err := dialer.DialContext(ctx, "tcp", host)
	if err != nil {
		return nil, err
	}
	if address.Scheme == "rediss" {
		conn = tls.Client(conn, &tls.Config{ServerName: address.Hostname(), MinVersion: tls.VersionTLS12})
	}
	redis := &redisConn{conn, bufio.NewReader(conn)}
	if err := redis.greet(ctx, address); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return redis, nil
}

func (r *redisConn) greet(ctx context.Context, address *url.URL) error {
	var commands [][]string
	if password, given := address.User.Password(); given {
		words := []string{"AUTH", password}
		if user := address.User.Username(); user != "" {
			words = []string{"AUTH", user, password}
		}
		commands = append(commands, words)
	}
	if database := strings.Trim(address.Path, "/"); database != "" && database != "0" {
		commands = append(commands, []string{"SELECT", database})
	}
	for _, words := range commands {
		if _, err := r.do(ctx, words); err != nil {
			return err
		}
	}
	return nil
}

// do sends commands together and reads an answer to each. The first error of Redis is returned when
// all were read; any other error means that the connection is of no use any more.
func (r *redisConn) do(ctx context.Context, commands ...[]string) ([]string, error) {
	deadline, given := ctx.Deadline()
	if !given {
		deadline = time.Now().Add(redisAfter)
	}
	if err := r.conn.SetDeadline(deadline); err != nil {
		return nil, err
	}
	var text strings.Builder
	for _, words := range commands {
		fmt.Fprintf(&text, "*%d\r\n", len(words))
		for _, word := range words {
			fmt.Fprintf(&text, "$%d\r\n%s\r\n", len(word), word)
		}
	}
	if _, err := io.WriteString(r.conn, text.String()); err != nil {
		return nil, err
	}
	answers := make([]string, len(commands))
	var refused error
	for i := range commands {
		answer, err := r.answer()
		var redis redisError
		switch {
		case errors.As(err, &redis):
			if refused == nil {
				refused = err
			}
		case err != nil:
			return nil, err
		}
		answers[i] = answer
	}
	return answers, refused
}

// answer reads a line, a number or a text; what is nil is empty.
func (r *redisConn) answer() (string, error) {
	line, err := r.read.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return "", errors.New("redis: an empty answer")
	}
	switch kind, rest := line[0], line[1:]; kind {
	case '+', ':':
		return rest, nil
	case '-':
		return "", redisError(rest)
	case '$':
		length, err := strconv.Atoi(rest)
		if err != nil || length > redisAnswerMax {
			return "", fmt.Errorf("redis: a text of %q bytes", rest)
		}
		if length < 0 {
			return "", nil
		}
		text := make([]byte, length+2)
		_, err = io.ReadFull(r.read, text)
		return string(text[:length]), err
	}
	return "", fmt.Errorf("redis: an answer that begins with %q", line[0])
}
