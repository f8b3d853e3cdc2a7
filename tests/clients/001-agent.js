const ws = new WebSocket('wss://your-worker.workers.dev/api/ws', {
  headers: {
    'Authorization': 'Bearer YOUR_API_KEY'
  }
});

ws.onopen = () => {
  // Send agent status
  ws.send(JSON.stringify({
    type: 'agent-status',
    agentId: 'mac-agent-1',
    status: 'online',
    capabilities: ['git', 'npm', 'docker']
  }));
};

ws.onmessage = (event) => {
  const message = JSON.parse(event.data);

  if (message.type === 'task') {
    // Execute task
    executeTask(message.taskId, message.payload);
  } else if (message.type === 'ping') {
    // Respond to ping
    ws.send(JSON.stringify({ type: 'pong' }));
  }
};
