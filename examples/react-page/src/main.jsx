// Deployments as they happen, and the log of the chosen one.
import { Fanfare } from "fanfare";
import { FanfareProvider, useChannel, useConnectionState, useDeployment, useLogs } from "fanfare/react";
import { useReducer, useState } from "react";
import { createRoot } from "react-dom/client";

const url = import.meta.env.VITE_FANFARE_URL ?? "http://127.0.0.1:8080";
const token = import.meta.env.VITE_FANFARE_TOKEN;
const client = new Fanfare(url, token ? { token } : {});

/** What is known of each deployment from the feed, the last changed first. */
function known(deployments, { id, data }) {
  const { [id]: before, ...others } = deployments;
  return { [id]: { ...before, ...data }, ...others };
}

function Page() {
  const [deployments, learn] = useReducer(known, {});
  const [chosen, choose] = useState(null);
  const connection = useConnectionState();
  useChannel("deployments", { tail: 200, onEvent: learn });
  const ids = Object.keys(deployments);
  return (
    <main>
      <h1>
        Deployments <small>{connection}</small>
      </h1>
      <nav>
        {ids.map((id) => (
          <button type="button" key={id} aria-pressed={id === chosen} onClick={() => choose(id)}>
            {id} <progress max={100} value={deployments[id].progress ?? 0} /> {deployments[id].status}
          </button>
        ))}
        {ids.length === 0 && <p>Nothing yet. Try: fanfare demo</p>}
      </nav>
      {chosen && <Deployment id={chosen} />}
    </main>
  );
}

function Deployment({ id }) {
  const { state } = useDeployment(id);
  const { rows } = useLogs(`deployment:${id}`, { tail: 100 });
  return (
    <section>
      <h2>
        {id}: {state?.status} {state?.stage}
      </h2>
      <pre>{rows.map((row) => (row.kind === "line" ? row.text : "… some lines are no longer kept …")).join("\n")}</pre>
    </section>
  );
}

createRoot(document.getElementById("root")).render(
  <FanfareProvider client={client}>
    <Page />
  </FanfareProvider>,
);
