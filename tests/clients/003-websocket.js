// The page loads this file; its guide prints `handleMessage` and `handleCustomEvent` and describes
// the rest: connect on load, ping every 25 s, five attempts with exponential back-off, a badge.
class ZeroStateWebSocket {
    constructor() {
        this.maxReconnectAttempts = 5;
        this.reconnectAttempts = 0;
        this.connect();
    }

    connect() {
        const url = `${window.location.origin.replace('http', 'ws')}/api/v1/ws/connect`;
        console.log('🔌 Connecting to WebSocket:', url);
        this.ws = new WebSocket(url);
        this.ws.onopen = () => {
            console.log('✅ WebSocket connected');
            this.reconnectAttempts = 0;
            this.show('Connected');
            this.pings = setInterval(() => {
                this.ws.send(JSON.stringify({ type: 'ping', timestamp: new Date().toISOString() }));
            }, 25000);
        };
        this.ws.onmessage = (event) => this.handleMessage(JSON.parse(event.data));
        this.ws.onclose = () => {
            console.log('🔌 WebSocket disconnected');
            clearInterval(this.pings);
            this.show('Disconnected');
            this.reconnect();
        };
    }

    reconnect() {
        if (this.reconnectAttempts >= this.maxReconnectAttempts) return;
        this.reconnectAttempts += 1;
        console.log(`🔄 Reconnecting... (attempt ${this.reconnectAttempts}/${this.maxReconnectAttempts})`);
        setTimeout(() => this.connect(), 1000 * 2 ** (this.reconnectAttempts - 1));
    }

    show(text) {
        document.getElementById('ws-status').style.opacity = 1;
        document.getElementById('ws-status-text').textContent = text;
    }

    handleMessage(message) {
        console.log('📨 WebSocket message:', message);

        switch (message.type) {
            case 'task_update':
                this.handleTaskUpdate(message.data);
                break;
            case 'agent_update':
                this.handleAgentUpdate(message.data);
                break;
            case 'system':
                this.handleSystemMessage(message.data);
                break;
            case 'custom_event':  // ADD YOUR CUSTOM HANDLER
                this.handleCustomEvent(message.data);
                break;
            default:
                console.log('Unknown message type:', message.type);
        }
    }

    // Add custom handler method
    handleCustomEvent(data) {
        console.log('Custom event received:', data);
        // Your custom logic here
    }

    handleTaskUpdate(data) {
        console.log('📋 Task update:', data);
    }

    handleAgentUpdate(data) {
        console.log('Agent update:', data);
    }

    handleSystemMessage(data) {
        console.log('System message:', data);
    }
}

window.zerostate = new ZeroStateWebSocket();
console.log('🚀 WebSocket client initialized');
