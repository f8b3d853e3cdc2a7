module example.org/follower

go 1.19

require example.org/fanfare v0.0.0

require github.com/coder/websocket v1.8.13 // indirect

replace example.org/fanfare => ../../../../gateway/sdk/go
