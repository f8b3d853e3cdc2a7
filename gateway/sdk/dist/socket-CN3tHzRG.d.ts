import { r as WebSocketConstructor } from "./link-QoMBa9CB.js";

//#region src/compat/socket.d.ts
interface CompatOptions {
  /** The service: `https://host` or `ws://host`; default: the page's own host. */
  url?: string | undefined;
  WebSocket?: WebSocketConstructor | undefined;
  minReconnectDelay?: number | undefined;
  maxReconnectDelay?: number | undefined;
}
//#endregion
export { CompatOptions as t };