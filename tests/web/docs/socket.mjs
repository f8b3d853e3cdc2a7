// Plays a conversation over a WebSocket: `> ` is sent, `< ` must come, `$ ` is a command; `…` stands for anything.
import { WebSocket } from "ws";
import { until } from "../fanfare.mjs";

const pattern = (frame) =>
  new RegExp(
    `^${frame
      .split("…")
      .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"))
      .join(".*?")}$`,
    "s",
  );

export async function play(stage, path, text) {
  const socket = new WebSocket(`ws://127.0.0.1:8080${path}`);
  const frames = [];
  socket.on("message", (data) => frames.push(String(data)));
  await new Promise((done, fail) => socket.once("open", done).once("error", fail));
  try {
    for (const line of text.trimEnd().split("\n")) {
      const words = line.slice(2);
      if (line.startsWith("> ")) socket.send(words);
      else if (line.startsWith("$ ")) {
        const job = await stage.run(words);
        if (job.code !== 0) throw new Error(`${words}: ${job.code}\n${job.said}`);
      } else {
        // Others may come between: a page has other sockets, too.
        const at = () => frames.findIndex((frame) => pattern(words).test(frame)) + 1;
        const found = await until(at, words).catch(() => 0);
        if (!found) throw new Error(`expected ${words}\ncame     ${frames.join("\n         ")}`);
        frames.splice(0, found);
      }
    }
  } finally {
    socket.close();
  }
}
