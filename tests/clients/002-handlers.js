// Custom handlers
client.onAgentStatus = (data) => {
  document.getElementById('agent-status').innerText = data.state;
};

client.onNotification = (data) => {
  showToast(data.level, data.message);
};
