/** The frame around every page: navigation, the state of the own connection, keys. */

import { computed, signal, useSignalEffect } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { now } from "./clock.ts";
import { rights } from "./credential.ts";
import { count, duration } from "./format.ts";
import { client, connection, connectionState, environment, lag, logout, moving, nextAttempt, session } from "./gateway.ts";
import { overview, troubles } from "./installation.ts";
import { Login } from "./pages/login.tsx";
import { pageOf, pages } from "./pages.tsx";
import { useResource } from "./resource.ts";
import { go, path, segments, to } from "./router.ts";
import { cycleTheme, theme } from "./theme.ts";
import { Dot, Heading, Mark, type Tone } from "./ui/bits.tsx";
import { isTyping } from "./ui/keys.ts";
import { Palette } from "./ui/palette.tsx";
import { paletteOpen, showPalette } from "./ui/palette-state.ts";

const page = computed(() => pageOf(segments.value[0]));
const menu = signal(false);

export function App(): JSX.Element {
  useSignalEffect(() => {
    const id = segments.value[1];
    document.title = [id, page.value?.name, "Fanfare"].filter(Boolean).join(" · ");
  });
  useEffect(() => {
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);
  useResource(overview, session.value === "open" && rights.value.operator);
  if (session.value === "starting") return <main class="starting" aria-busy="true" />;
  if (session.value === "login") return <Login />;
  return (
    <div class="frame">
      <a class="skip" href="#main">
        To the page
      </a>
      <Bar />
      <main id="main" tabIndex={-1}>
        {page.value?.view(segments.value[1]) ?? (
          <Heading title="There is no such page">
            <p>
              <a href={to()}>To the overview</a>
            </p>
          </Heading>
        )}
      </main>
      <Palette />
    </div>
  );
}

function Bar(): JSX.Element {
  useSignalEffect(() => {
    path.value;
    menu.value = false;
  });
  const all = pages().filter(({ part }) => part);
  return (
    <header class={`side${menu.value ? " open" : ""}`}>
      <div class="brand">
        <a href={to()} aria-label="Fanfare, overview">
          <Mark />
          <span>Fanfare</span>
        </a>
        <button type="button" class="menu" aria-expanded={menu.value} aria-controls="pages" onClick={() => (menu.value = !menu.value)}>
          {menu.value ? "Close" : "Menu"}
        </button>
      </div>
      <button type="button" class="go" aria-keyshortcuts="Meta+K Control+K" onClick={showPalette}>
        Search <kbd aria-hidden="true">{/Mac|iPhone|iPad/.test(navigator.platform) ? "⌘K" : "Ctrl K"}</kbd>
      </button>
      <nav id="pages" aria-label="Pages">
        {["See", "Operate", "Try"].map((part) => {
          const here = all.filter((page) => page.part === part);
          return here.length > 0 && <ul key={part}>{here.map((one) => entry(one, all.indexOf(one)))}</ul>;
        })}
      </nav>
      <Foot />
    </header>
  );
}

function entry({ slug, name, amount, urgent }: ReturnType<typeof pages>[number], index: number): JSX.Element {
  const value = amount?.() ?? 0;
  return (
    <li key={slug}>
      <a
        href={slug ? to(slug) : to()}
        aria-current={page.value?.slug === slug ? "page" : undefined}
        aria-keyshortcuts={index < 9 ? String(index + 1) : undefined}
      >
        {name}
        {value > 0 && <span class={`amount${urgent ? " urgent" : ""}`}>{count(value)}</span>}
      </a>
    </li>
  );
}

/** Our own connection, in words: always in sight. */
function Foot(): JSX.Element {
  const [tone, words, note] = ownState();
  return (
    <div class="own">
      <p class={`own-state ${tone}`} role="status" aria-live="polite">
        <Dot tone={tone} />
        <span>{words}</span>
      </p>
      <p class="own-note">
        {note}
        {connectionState.value !== "connected" && (
          <button type="button" class="link" onClick={() => client.disconnect() ?? client.connect()}>
            now
          </button>
        )}
      </p>
      <p class="own-links">
        <button type="button" class="link" onClick={cycleTheme} aria-label={`Colours: ${theme.value}. Change`}>
          {theme.value === "auto" ? "Auto" : theme.value === "dark" ? "Dark" : "Light"}
        </button>
        {environment.value === "development" ? (
          <span>development</span>
        ) : (
          <button type="button" class="link" onClick={logout}>
            Log out
          </button>
        )}
      </p>
    </div>
  );
}

function ownState(): [Tone, string, string] {
  const open = connection.value;
  if (connectionState.value === "connected" && open) {
    const way = open.transport === "sse" ? "server-sent events" : lag.value === null ? "measuring" : `${duration(lag.value)} round trip`;
    return troubles.value.length > 0 ? ["warn", "Degraded", "see above"] : ["good", "Connected", way];
  }
  if (connectionState.value === "connecting") {
    if (moving.value) return ["live", "Changing nodes", "this one is restarting; or"];
    const wait = nextAttempt.value === null ? 0 : nextAttempt.value - now.value;
    return ["warn", "Not connected", wait > 1000 ? `next try in ${Math.ceil(wait / 1000)} s, or` : "trying, or"];
  }
  return ["bad", "Disconnected", "what is shown may be old; try"];
}

/** 1 to 9 go to the pages, ⌘K and Ctrl K open the box. */
function pressed(event: KeyboardEvent): void {
  if ((event.metaKey || event.ctrlKey) && event.key.toLowerCase() === "k") {
    event.preventDefault();
    paletteOpen.value = !paletteOpen.value;
    return;
  }
  if (isTyping(event) || event.metaKey || event.ctrlKey || event.altKey || paletteOpen.peek()) return;
  const chosen = pages().filter(({ part }) => part)[Number(event.key) - 1];
  if (chosen && /^[1-9]$/.test(event.key)) go(chosen.slug ? to(chosen.slug) : to());
}
