// Usage in component
function Dashboard() {
  const { isConnected, agentStatus, notifications } = useWebSocket('your-token');

  return (
    <div>
      <div>Status: {isConnected ? '🟢 Connected' : '🔴 Disconnected'}</div>
      <div>Agent: {agentStatus?.state}</div>
      {notifications.map((n, i) => (
        <div key={i} className={`alert-${n.level}`}>{n.message}</div>
      ))}
    </div>
  );
}
