// Package fanfaretest starts real servers for tests. The executable is the one that FANFARE_BIN
// names, else fanfare on the PATH; a server keeps its records in SQLite in a folder of its own, and
// needs no other service.
package fanfaretest

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// readyAfter is how long a server may take to start.
const readyAfter = time.Minute

// Server is one process of the gateway with its worker.
type Server struct {
	// URL is where it is.
	URL string
	// Port is its port on 127.0.0.1.
	Port int
	// Home is the folder with its records.
	Home string

	t        testing.TB
	settings []string
	process  *exec.Cmd
	said     bytes.Buffer
	ended    chan struct{}
}

// Start starts a server of the test's own, which ends with the test. Settings are NAME=value.
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	port := freePort(t)
	server := &Server{
		URL: fmt.Sprintf("http://127.0.0.1:%d", port), Port: port, Home: t.TempDir(),
		t: t, settings: settings,
	}
	t.Cleanup(server.Kill)
	server.Start()
	return server
}

// embeddedRedis is where the process takes XADD itself: nowhere beside a Redis of its own.
func (s *Server) embeddedRedis() string {
	for _, setting := range s.settings {
		if strings.HasPrefix(setting, "REDIS_URL=") {
			return "off"
		}
	}
	return "127.0.0.1:0"
}

// Start starts it again, at the same address with the same records, and waits until it is ready.
func (s *Server) Start() {
	s.t.Helper()
	s.process = exec.Command(executable(s.t))
	s.process.Dir = s.Home
	s.process.Env = append(s.environment(),
		fmt.Sprintf("PORT=%d", s.Port),
		"DATABASE_URL=sqlite://"+filepath.Join(s.Home, "fanfare.db"),
		"EMBEDDED_REDIS_LISTEN="+s.embeddedRedis(), "LOG_LEVEL=warn", "DRAIN_MS=3000")
	s.process.Env = append(s.process.Env, s.settings...)
	s.said.Reset()
	s.process.Stderr = &s.said
	if err := s.process.Start(); err != nil {
		s.t.Fatalf("fanfare does not start: %v", err)
	}
	ended := make(chan struct{})
	s.ended = ended
	go func(process *exec.Cmd) {
		defer close(ended)
		_ = process.Wait()
	}(s.process)
	client := &http.Client{Timeout: time.Second}
	defer client.CloseIdleConnections()
	for end := time.Now().Add(readyAfter); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		select {
		case <-ended:
			s.t.Fatalf("fanfare ended: %s", s.said.String())
		default:
		}
		if answer, err := client.Get(s.URL + "/readyz"); err == nil {
			_ = answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return
			}
		}
	}
	s.t.Fatalf("fanfare is not ready in time")
}

// Kill ends it at once, as a crash does.
func (s *Server) Kill() { s.end(os.Kill) }

// Drain asks it to end, and waits: it sends everybody elsewhere first.
func (s *Server) Drain() { s.end(syscall.SIGTERM) }

func (s *Server) end(how os.Signal) {
	if s.process == nil {
		return
	}
	if err := s.process.Process.Signal(how); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Errorf("fanfare cannot be ended: %v", err)
	}
	<-s.ended
	s.process = nil
}

// Token makes a token that this server accepts; arguments are those of fanfare token.
func (s *Server) Token(sub string, arguments ...string) string {
	s.t.Helper()
	command := exec.Command(executable(s.t), append([]string{"token", "--sub", sub}, arguments...)...)
	command.Env = append(s.environment(), s.settings...)
	said, err := command.Output()
	if err != nil {
		s.t.Fatalf("no token: %v", err)
	}
	return strings.TrimSpace(string(said))
}

// environment is what a server may know of ours: the PATH, and what is meant for it.
func (s *Server) environment() []string {
	environment := []string{"PATH=" + os.Getenv("PATH")}
	for _, one := range os.Environ() {
		if strings.HasPrefix(one, "FANFARE_TEST") {
			environment = append(environment, one)
		}
	}
	return environment
}

func executable(t testing.TB) string {
	t.Helper()
	if named := os.Getenv("FANFARE_BIN"); named != "" {
		return named
	}
	found, err := exec.LookPath("fanfare")
	if err != nil {
		t.Fatal("no executable: set FANFARE_BIN or put fanfare on the PATH")
	}
	return found
}

func freePort(t testing.TB) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	address, _ := listener.Addr().(*net.TCPAddr)
	return address.Port
}
