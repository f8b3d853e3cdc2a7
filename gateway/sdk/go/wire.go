package fanfare

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/coder/websocket"
)

// frameBytesMax is the largest frame that is read: an event and a state are far smaller.
const frameBytesMax = 32 << 20

// closeAfter is how long a server may take to answer our close.
const closeAfter = 2 * time.Second

// wire is one way to the server and back. Its errors are of type *closed.
type wire interface {
	// read waits for the next text; an empty one is a mere sign of life.
	read(ctx context.Context) ([]byte, error)
	write(ctx context.Context, text []byte) error
	close(code int)
}

// socket is a WebSocket. The token goes in a header, never into the address.
type socket struct{ conn *websocket.Conn }

func openSocket(ctx context.Context, client *http.Client, address, token string) (wire, error) {
	conn, response, err := websocket.Dial(ctx, address, &websocket.DialOptions{
		HTTPClient:   client,
		HTTPHeader:   bearer(token),
		Subprotocols: []string{"fanfare.v1"},
	})
	if err != nil {
		// Any other status may be a proxy's that knows no WebSockets.
		if response != nil && response.StatusCode == http.StatusUnauthorized {
			return nil, over(codeUnauthorized, "HTTP 401")
		}
		return nil, over(codeLost, err.Error())
	}
	conn.SetReadLimit(frameBytesMax)
	return &socket{conn}, nil
}

func (s *socket) read(ctx context.Context) ([]byte, error) {
	for {
		kind, text, err := s.conn.Read(ctx)
		if err != nil {
			return nil, socketClosed(err)
		}
		if kind == websocket.MessageText { // Binary frames are none of ours.
			return text, nil
		}
	}
}

func (s *socket) write(ctx context.Context, text []byte) error {
	if err := s.conn.Write(ctx, websocket.MessageText, text); err != nil {
		return socketClosed(err)
	}
	return nil
}

// close waits for the other side's answer, but not for long.
func (s *socket) close(code int) {
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		_ = s.conn.Close(websocket.StatusCode(code), "")
	}()
	timer := time.NewTimer(closeAfter)
	defer timer.Stop()
	select {
	case <-answered:
	case <-timer.C:
		_ = s.conn.CloseNow()
		<-answered
	}
}

func socketClosed(err error) *closed {
	code := int(websocket.CloseStatus(err))
	if code < 0 || code == 1005 {
		return over(codeLost, "")
	}
	return over(code, "")
}

// stream is a stream of server-sent events: one way only.
type stream struct {
	body   io.ReadCloser
	lines  *bufio.Reader
	cancel context.CancelFunc
}

func openStream(ctx context.Context, client *http.Client, address string, query []pair, token string) (wire, error) {
	living, cancel := context.WithCancel(context.Background())
	request, err := http.NewRequestWithContext(living, http.MethodGet, address+"?"+encode(query), nil)
	if err != nil {
		cancel()
		return nil, over(codeLost, err.Error())
	}
	request.Header = bearer(token)
	request.Header.Set("Accept", "text/event-stream")
	opened := make(chan struct{})
	defer close(opened)
	go func() { // The context is for the opening alone.
		select {
		case <-ctx.Done():
			cancel()
		case <-opened:
		}
	}()
	response, err := client.Do(request)
	if err != nil {
		cancel()
		return nil, over(codeLost, err.Error())
	}
	if response.StatusCode != http.StatusOK {
		_ = response.Body.Close()
		cancel()
		return nil, over(streamCode(response.StatusCode), fmt.Sprintf("HTTP %d", response.StatusCode))
	}
	return &stream{response.Body, bufio.NewReaderSize(response.Body, 1<<16), cancel}, nil
}

// read returns the data of each frame; comments come as empty texts.
func (s *stream) read(ctx context.Context) ([]byte, error) {
	for {
		line, err := s.lines.ReadBytes('\n')
		if err != nil {
			return nil, over(codeLost, "the event stream ended")
		}
		if bytes.HasPrefix(line, []byte("data:")) {
			return bytes.TrimSpace(line[len("data:"):]), nil
		}
		if line[0] == ':' {
			return nil, nil
		}
	}
}

func (s *stream) write(context.Context, []byte) error { return nil }

func (s *stream) close(int) {
	s.cancel()
	_ = s.body.Close()
}

// pair is a parameter of an address; their order counts.
type pair struct{ name, value string }

func encode(query []pair) string {
	parts := make([]string, len(query))
	for i, one := range query {
		parts[i] = one.name + "=" + url.QueryEscape(one.value)
	}
	return strings.Join(parts, "&")
}

// bearer returns the header that carries a token or an API key.
func bearer(token string) http.Header {
	header := http.Header{}
	if token != "" {
		header.Set("Authorization", "Bearer "+token)
	}
	return header
}

// streamCode returns the close code that a refused stream amounts to.
func streamCode(status int) int {
	switch status {
	case http.StatusUnauthorized:
		return codeUnauthorized
	case http.StatusForbidden:
		return codeForbidden
	}
	return codeLost
}
