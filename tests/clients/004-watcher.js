const ws = new WebSocket('ws://localhost:8080?token=your-secure-token');
ws.onmessage = (event) => console.log(JSON.parse(event.data));
ws.onopen = () => ws.send(JSON.stringify({
  "type": "subscribe",
  "containerID": "container-123",
  "auth": {
    "token": "your-secure-token"
  }
}));
