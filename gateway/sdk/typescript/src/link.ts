/**
 * A connection that comes back: back-off with full jitter, close codes, heartbeat, wake-up of the
 * page, and make-before-break. It knows no protocol; `Fanfare` and the compatible clients of the
 * older services stand on it.
 */

import { backoff } from "./backoff.ts";
import { FanfareError, meaning, verdict } from "./codes.ts";
import { Emitter, type Stop } from "./emitter.ts";
import type { Wire, WireListener } from "./wire.ts";

export type ConnectionState = "disconnected" | "connecting" | "connected";

export interface Reconnecting {
  /** From 1; 0 where the server asked to come back. */
  attempt: number;
  /** Milliseconds until the attempt. */
  delay: number;
  /** Why the last connection or attempt ended. */
  reason: string;
}

export interface LinkEvents<F> {
  state: ConnectionState;
  reconnecting: Reconnecting;
  frame: { frame: F; wire: Wire };
  opened: Wire;
  /** Nothing more comes over this wire: it was closed, by whichever side, or never became ready. */
  ended: Wire;
  /** The connection in use ended, or an attempt failed. */
  lost: { code: number; reason: string };
  error: FanfareError;
}

/** What is given for the next attempt. */
export interface Attempt {
  /** How many attempts failed since the last success. */
  failures: number;
  /** The last one was refused for its token. */
  freshToken: boolean;
}

export interface LinkOptions<F> {
  /** Opens a wire. Throws when it cannot even be tried. */
  dial: (listener: WireListener<F>, attempt: Attempt) => Promise<Wire>;
  minReconnectDelay?: number | undefined;
  maxReconnectDelay?: number | undefined;
  /** An attempt that is not ready after so long has failed. */
  connectTimeout?: number | undefined;
}

type Timer = "retry" | "connect" | "beat" | "probe" | "handover";

/** How long the answer to our `ping` may take. */
const PROBE_MS = 10_000;
/** A server that was asked to take over and does not is not waited for longer. */
const HANDOVER_MS = 30_000;
/** A connection that was not sent on for so long has settled. */
const SETTLED_MS = 60_000;

export class Link<F> extends Emitter<LinkEvents<F>> {
  #state: ConnectionState = "disconnected";
  #wire: Wire | null = null;
  #leaving: Wire | null = null;
  /** The attempt under way; a wire of an older one is none of ours any more. */
  #dialling: object | null = null;
  #next: Wire | null = null;
  #attempt: Attempt = { failures: 0, freshToken: false };
  #timers: Partial<Record<Timer, ReturnType<typeof setTimeout>>> = {};
  #beatMs = 0;
  #seen = 0;
  /** How often in a row we were sent on, and when last. */
  #moves = 0;
  #movedAt = 0;
  #sleep: Stop | null = null;
  readonly #options: LinkOptions<F>;

  constructor(options: LinkOptions<F>) {
    super();
    this.#options = options;
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** The wire in use, if any. */
  get wire(): Wire | null {
    return this.#wire;
  }

  /** When the wire in use last gave a sign of life, ms since 1970. */
  get seen(): number {
    return this.#seen;
  }

  connect(): void {
    if (this.#state !== "disconnected") return;
    this.#attempt = { failures: 0, freshToken: false };
    this.#sleep = onWake(() => this.wake());
    this.#dial();
  }

  /** Ends the connection and all attempts. */
  disconnect(): void {
    this.#stop();
    this.#to("disconnected");
  }

  /** The protocol's greeting has come over `wire`: it is the one in use from here on. */
  ready(wire: Wire): void {
    if (wire !== this.#next) return;
    this.#clear("connect", "retry");
    this.#end(this.#leaving);
    this.#leaving = this.#wire;
    [this.#wire, this.#next, this.#dialling] = [wire, null, null];
    this.#attempt = { failures: 0, freshToken: false };
    this.#seen = Date.now();
    if (this.#leaving) this.#after("handover", HANDOVER_MS, () => this.handedOver());
    this.#to("connected");
  }

  /** Everything was taken over by the new wire: leave the old one. */
  handedOver(): void {
    this.#clear("handover");
    const leaving = this.#leaving;
    this.#leaving = null;
    this.#end(leaving);
  }

  /**
   * Changes the server, as the one in use asks us to. A balancer may lead back to it as long as it
   * serves: it asks again, and we, served meanwhile, try again with growing delays.
   */
  move(afterMs: number, reason: string): void {
    this.#moves = Date.now() - this.#movedAt < SETTLED_MS ? this.#moves + 1 : 0;
    this.#movedAt = Date.now();
    this.replace(Math.random() * afterMs + (this.#moves > 0 ? backoff(this.#moves, this.#min, this.#max) : 0), reason);
  }

  /** Opens a second wire after `delay`, and lets go of the first once the second is ready. */
  replace(delay: number, reason: string): void {
    if (this.#state === "disconnected" || this.#dialling || this.#timers.retry !== undefined) return;
    this.emit("reconnecting", { attempt: 0, delay, reason });
    this.#after("retry", delay, () => this.#dial());
  }

  /** Expects a sign of life each `ms`; asks for one when there is none, and then gives up. */
  beat(ms: number): void {
    this.#beatMs = ms;
    this.#clear("beat");
    if (ms > 0) this.#after("beat", ms, () => this.#tick());
  }

  /** Retries at once if waiting, else asks whether the connection still lives. */
  wake(): void {
    if (this.#timers.retry !== undefined) {
      this.#clear("retry");
      this.#dial();
    } else if (this.#state === "connected") this.#probe();
  }

  send(frame: object): void {
    this.#wire?.send(frame);
  }

  #tick(): void {
    if (Date.now() - this.#seen >= this.#beatMs) this.#probe();
    this.beat(this.#beatMs);
  }

  #probe(): void {
    const wire = this.#wire;
    if (!wire || this.#timers.probe !== undefined || this.#beatMs === 0) return;
    wire.send({ type: "ping" });
    this.#after("probe", Math.min(PROBE_MS, this.#beatMs), () => this.drop("no sign of life"));
  }

  /** Takes the connection in use for dead, whatever the other side thinks. */
  drop(reason: string): void {
    const wire = this.#wire;
    wire?.close(4008, reason);
    if (wire) this.#closed(wire, 4008, reason);
  }

  #dial(): void {
    this.#clear("retry");
    if (!this.#wire) this.#to("connecting");
    const token = (this.#dialling = {});
    const listener: WireListener<F> = {
      opened: (wire) => this.emit("opened", wire),
      alive: (wire) => {
        if (wire !== this.#wire) return;
        this.#seen = Date.now();
        this.#clear("probe");
      },
      frame: (wire, frame) => this.emit("frame", { frame, wire }),
      closed: (wire, code, reason) => {
        if (this.#dialling === token) this.#failed(code, reason, wire);
        else this.#closed(wire, code, reason);
      },
    };
    this.#after("connect", this.#options.connectTimeout ?? 10_000, () => {
      const late = this.#next;
      late?.close(1000);
      this.#failed(1006, "no answer in time", late);
    });
    this.#options.dial(listener, this.#attempt).then(
      (wire) => {
        if (this.#dialling === token) this.#next = wire;
        else this.#end(wire);
      },
      (error: unknown) => {
        if (this.#dialling !== token) return;
        const terminal = error instanceof FanfareError && error.terminal;
        if (terminal) this.#giveUp(error);
        else this.#failed(1006, String(error));
      },
    );
  }

  #closed(wire: Wire, code: number, reason: string): void {
    if (wire === this.#leaving) this.#leaving = null;
    if (wire !== this.#wire) return this.emit("ended", wire);
    // The one that we were leaving may still serve: then it does until the next is there.
    this.#clear("beat", "probe", "handover");
    this.#wire = this.#leaving;
    this.#leaving = null;
    this.emit("ended", wire);
    if (this.#dialling || this.#timers.retry !== undefined) {
      this.emit("lost", { code, reason });
      if (!this.#wire) this.#to("connecting"); // A replacement is on its way.
    } else this.#failed(code, reason);
  }

  /** Decides by the code whether to come back, and when. */
  #failed(code: number, reason: string, wire: Wire | null = null): void {
    this.#clear("connect");
    this.#next = this.#dialling = null;
    if (wire) this.emit("ended", wire);
    this.emit("lost", { code, reason });
    const what = verdict(code);
    const stale = what === "token" && this.#attempt.freshToken;
    if (what === "stop" || stale) return this.#giveUp(new FanfareError(code, reason || meaning(code), true));
    const failures = this.#attempt.failures + 1;
    const delay = what === "token" ? 0 : backoff(failures, this.#min, this.#max);
    this.#attempt = { failures, freshToken: what === "token" };
    if (!this.#wire) this.#to("connecting");
    this.emit("reconnecting", { attempt: failures, delay, reason: reason || meaning(code) });
    this.#after("retry", delay, () => this.#dial());
  }

  get #min(): number {
    return this.#options.minReconnectDelay ?? 500;
  }

  get #max(): number {
    return this.#options.maxReconnectDelay ?? 20_000;
  }

  #giveUp(error: FanfareError): void {
    this.#stop();
    this.#to("disconnected");
    this.emit("error", error);
  }

  #stop(): void {
    this.#sleep?.();
    this.#clear("retry", "connect", "beat", "probe", "handover");
    const wires = [this.#wire, this.#next, this.#leaving];
    this.#wire = this.#next = this.#leaving = this.#dialling = this.#sleep = null;
    for (const wire of wires) this.#end(wire);
  }

  #end(wire: Wire | null): void {
    wire?.close(1000);
    if (wire) this.emit("ended", wire);
  }

  #to(state: ConnectionState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.emit("state", state);
  }

  #after(name: Timer, ms: number, run: () => void): void {
    this.#clear(name);
    this.#timers[name] = setTimeout(() => {
      delete this.#timers[name];
      run();
    }, ms);
  }

  #clear(...names: Timer[]): void {
    for (const name of names) {
      clearTimeout(this.#timers[name]);
      delete this.#timers[name];
    }
  }
}

/** Calls `wake` when the network is back or the page is looked at again; browsers only. */
function onWake(wake: () => void): Stop {
  if (typeof window === "undefined" || typeof document === "undefined") return () => {};
  const visible = (): void => {
    if (document.visibilityState === "visible") wake();
  };
  window.addEventListener("online", wake);
  document.addEventListener("visibilitychange", visible);
  return () => {
    window.removeEventListener("online", wake);
    document.removeEventListener("visibilitychange", visible);
  };
}
