/** The frame around every page: navigation, the state of the own connection, keys. */

import { computed, signal, useSignalEffect } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { now } from "./clock.ts";
import { openAlerts, running, runningTasks } from "./collection.ts";
import { duration } from "./format.ts";
import { client, connection, connectionState, degraded, environment, lag, logout, moving, nextAttempt, session } from "./gateway.ts";
import { Api } from "./pages/api.tsx";
import { Connections } from "./pages/connections.tsx";
import { DeploymentPage, Deployments } from "./pages/deployments.tsx";
import { Agents, Alerts, Repos } from "./pages/fleet.tsx";
import { Inspector } from "./pages/inspector.tsx";
import { Login } from "./pages/login.tsx";
import { Overview } from "./pages/overview.tsx";
import { Streams } from "./pages/streams.tsx";
import { TaskPage, Tasks } from "./pages/tasks.tsx";
import { go, path, segments, to } from "./router.ts";
import { cycleTheme, theme } from "./theme.ts";
import { Dot, Heading, Mark, type Tone } from "./ui/bits.tsx";

interface Page {
  slug: string;
  name: string;
  view: (id: string | undefined) => JSX.Element;
  /** What is going on there, if anything. */
  amount?: () => number;
  urgent?: boolean;
}

const PAGES: Page[] = [
  { slug: "", name: "Overview", view: () => <Overview /> },
  {
    slug: "deployments",
    name: "Deployments",
    view: (id) => (id ? <DeploymentPage key={id} id={id} /> : <Deployments />),
    amount: () => running.value.length,
  },
  { slug: "tasks", name: "Tasks", view: (id) => (id ? <TaskPage key={id} id={id} /> : <Tasks />), amount: () => runningTasks.value.length },
  { slug: "agents", name: "Agents", view: () => <Agents /> },
  { slug: "repos", name: "Repositories", view: () => <Repos /> },
  { slug: "alerts", name: "Alerts", view: () => <Alerts />, amount: () => openAlerts.value.length, urgent: true },
  { slug: "connections", name: "Connections", view: () => <Connections /> },
  { slug: "streams", name: "Streams", view: () => <Streams /> },
  { slug: "inspector", name: "Inspector", view: () => <Inspector /> },
  { slug: "api", name: "API", view: () => <Api /> },
];

const page = computed(() => PAGES.find(({ slug }) => slug === (segments.value[0] ?? "")));
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
    </div>
  );
}

function Bar(): JSX.Element {
  const list = useRef<HTMLElement>(null);
  useSignalEffect(() => {
    path.value;
    menu.value = false;
  });
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
      <nav id="pages" ref={list} aria-label="Pages">
        <ul>
          {PAGES.map(({ slug, name, amount, urgent }, index) => {
            const here = page.value?.slug === slug;
            const value = amount?.() ?? 0;
            return (
              <li key={slug}>
                <a href={slug ? to(slug) : to()} aria-current={here ? "page" : undefined} aria-keyshortcuts={index < 9 ? String(index + 1) : undefined}>
                  {name}
                  {value > 0 && <span class={`amount${urgent ? " urgent" : ""}`}>{value}</span>}
                </a>
              </li>
            );
          })}
        </ul>
      </nav>
      <Foot />
    </header>
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
    return degraded.value ? ["warn", "Degraded", degraded.value] : ["good", "Connected", way];
  }
  if (connectionState.value === "connecting") {
    if (moving.value) return ["live", "Changing nodes", "this one is restarting; or"];
    const wait = nextAttempt.value === null ? 0 : nextAttempt.value - now.value;
    return ["warn", "Not connected", wait > 1000 ? `next try in ${Math.ceil(wait / 1000)} s, or` : "trying, or"];
  }
  return ["bad", "Disconnected", "what is shown may be old; try"];
}

/** 1 to 9 go to the pages. */
function pressed(event: KeyboardEvent): void {
  const target = event.target as HTMLElement;
  if (/^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) || event.metaKey || event.ctrlKey || event.altKey) return;
  const chosen = PAGES[Number(event.key) - 1];
  if (chosen && /^[1-9]$/.test(event.key)) go(chosen.slug ? to(chosen.slug) : to());
}
