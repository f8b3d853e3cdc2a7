module example.org/fanfare

go 1.19

require github.com/coder/websocket v1.8.13
