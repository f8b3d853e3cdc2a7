import { n as openSocket, r as Link } from "./wire-CFKhlhZY.js";
//#region src/compat/socket.ts
/** What the compatible clients share: an older service's own protocol over a link that comes back by itself. */
/** A link that is ready as soon as its WebSocket opens, and expects a sign of life each `beatMs`. */
function compatLink(path, beatMs, options) {
	const Socket = options.WebSocket ?? globalThis.WebSocket;
	const base = options.url ?? (typeof location === "undefined" ? void 0 : location.origin);
	if (!Socket) throw new Error("no WebSocket here: give one as an option");
	if (!base) throw new Error("give the url of the service");
	const root = base.replace(/^http/, "ws").replace(/\/+$/, "");
	const link = new Link({
		...options,
		dial: async (to) => openSocket(Socket, root + path(), to)
	});
	link.on("opened", (wire) => {
		link.ready(wire);
		link.beat(beatMs);
	});
	return link;
}
//#endregion
export { compatLink as t };
