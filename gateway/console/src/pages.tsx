/** Which pages there are, who may see them, and what is going on there. */

import type { JSX } from "preact";
import { rights } from "./credential.ts";
import { entities, overview } from "./installation.ts";
import { OPEN } from "./kinds.ts";
import { AgentPage } from "./pages/agent.tsx";
import { Agents, Alerts, Repos } from "./pages/agents.tsx";
import { Api } from "./pages/api.tsx";
import { Audit, Denied } from "./pages/audit.tsx";
import { Connections } from "./pages/connections.tsx";
import { ContainerPage, Containers } from "./pages/containers.tsx";
import { Dead } from "./pages/dead.tsx";
import { DeploymentPage, Deployments } from "./pages/deployments.tsx";
import { Explain } from "./pages/explain.tsx";
import { Fleet } from "./pages/fleet.tsx";
import { Inspector } from "./pages/inspector.tsx";
import { ChannelPage, Messages, UserPage } from "./pages/messages.tsx";
import { Overview } from "./pages/overview.tsx";
import { Analytics, GroupPage, Queue } from "./pages/queue.tsx";
import { TaskPage, Tasks } from "./pages/tasks.tsx";

export interface Page {
  slug: string;
  name: string;
  view: (id: string | undefined) => JSX.Element;
  /** The part of the menu; none for pages that other pages lead to. */
  part?: "See" | "Operate" | "Try";
  /** What must be readable for the list, or that it is for operators. */
  needs?: string;
  /** What is going on there; null while unknown. */
  amount?: () => number | null;
  urgent?: boolean;
}

const OPERATOR = "operator";

const PAGES: Page[] = [
  { slug: "", name: "Overview", part: "See", view: () => <Overview /> },
  {
    slug: "deployments",
    name: "Deployments",
    part: "See",
    needs: "deployments",
    view: (id) => (id ? <DeploymentPage key={id} id={id} /> : <Deployments />),
    amount: () => entities("deployments", OPEN),
  },
  {
    slug: "tasks",
    name: "Tasks",
    part: "See",
    needs: "tasks",
    view: (id) => (id ? <TaskPage key={id} id={id} /> : <Tasks />),
    amount: () => entities("tasks", OPEN),
  },
  { slug: "agents", name: "Agents", part: "See", needs: "agents", view: (id) => (id ? <AgentPage key={id} id={id} /> : <Agents />) },
  { slug: "containers", name: "Containers", part: "See", needs: "container:*", view: (id) => (id ? <ContainerPage key={id} id={id} /> : <Containers />) },
  { slug: "repos", name: "Repositories", part: "See", needs: "repos", view: () => <Repos /> },
  { slug: "alerts", name: "Alerts", part: "See", needs: "alerts", view: () => <Alerts />, amount: () => entities("alerts", ["open"]), urgent: true },
  { slug: "messages", name: "Messages", part: "See", needs: "broadcast", view: () => <Messages /> },
  { slug: "fleet", name: "Fleet", part: "Operate", needs: OPERATOR, view: () => <Fleet /> },
  { slug: "connections", name: "Connections", part: "Operate", needs: OPERATOR, view: () => <Connections /> },
  {
    slug: "dead",
    name: "Dead letters",
    part: "Operate",
    needs: OPERATOR,
    view: () => <Dead />,
    amount: () => overview.current.value?.dead?.total ?? null,
    urgent: true,
  },
  { slug: "explain", name: "Explain", part: "Operate", needs: OPERATOR, view: (what) => <Explain what={what} /> },
  { slug: "denied", name: "Denied users", part: "Operate", needs: OPERATOR, view: () => <Denied /> },
  { slug: "audit", name: "Audit", part: "Operate", needs: OPERATOR, view: () => <Audit /> },
  { slug: "inspector", name: "Inspector", part: "Try", view: () => <Inspector /> },
  { slug: "api", name: "API", part: "Try", view: () => <Api /> },
  { slug: "queue", name: "Queue", needs: OPERATOR, view: () => <Queue /> },
  { slug: "analytics", name: "Task analytics", needs: OPERATOR, view: () => <Analytics /> },
  { slug: "groups", name: "Group", view: (id) => (id ? <GroupPage key={id} id={id} /> : <Tasks />) },
  { slug: "users", name: "User", view: (id) => (id ? <UserPage key={id} id={id} /> : <Messages />) },
  { slug: "channel", name: "Channel", view: (id) => (id ? <ChannelPage key={id} name={id} /> : <Inspector />) },
];

/** The pages that whoever looks may see. */
export function pages(): Page[] {
  const { operator, reads } = rights.value;
  return PAGES.filter(({ needs, part }) => part !== undefined || needs === OPERATOR).filter(
    ({ needs }) => !needs || (needs === OPERATOR ? operator : reads(needs)),
  );
}

/** The page of an address, whoever looks: the server refuses what may not be seen. */
export function pageOf(slug: string | undefined): Page | undefined {
  return PAGES.find((page) => page.slug === (slug ?? ""));
}
