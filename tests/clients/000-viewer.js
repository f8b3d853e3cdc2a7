const ws = new WebSocket('ws://localhost:8787/?deploymentId=test-123');
ws.onmessage = (event) => console.log(JSON.parse(event.data));
