/**
 * What the server speaks, in its own words, with nothing from elsewhere: HTTP from `/openapi.json`,
 * frames from the `asyncapi.yaml` that this console was built beside.
 */

import { signal, useSignal } from "@preact/signals";
import type { ComponentChildren, JSX } from "preact";
import { useEffect } from "preact/hooks";
import asyncapi from "../../../src/api/asyncapi.yaml";
import { plural } from "../format.ts";
import { api } from "../gateway.ts";
import {
  type Body,
  curl,
  type Document,
  type Frames,
  inside,
  type Message,
  messages,
  nameOf,
  type Operation,
  operations,
  resolve,
  type Schema,
  type Source,
  words,
} from "../openapi.ts";
import { Failure, Heading, Skeleton } from "../ui/bits.tsx";

const frames = asyncapi as Frames;

const description = signal<Document | null>(null);
const error = signal("");
const DEPTH_MAX = 5;

async function read(): Promise<void> {
  try {
    error.value = "";
    description.value = await api<Document>("/openapi.json");
  } catch (failure) {
    error.value = (failure as Error).message;
  }
}

export function Api(): JSX.Element {
  const wanted = useSignal("");
  useEffect(() => {
    if (!description.value) void read();
  }, []);
  const from = description.value;
  const low = wanted.value.trim().toLowerCase();
  const matches = ({ method, path, summary = "" }: Operation): boolean => `${method} ${path} ${summary}`.toLowerCase().includes(low);
  const named = ([type, { summary = "" }]: [string, Message]): boolean => `${type} ${summary}`.toLowerCase().includes(low);
  const sent = messages(frames, "receive").filter(named);
  const received = messages(frames, "send").filter(named);
  const groups = from ? [...operations(from)].map(([tag, all]) => [tag, all.filter(matches)] as const).filter(([, all]) => all.length > 0) : [];
  return (
    <>
      <Heading title="API">
        <p>
          The same as files: <a href="/openapi.json">openapi.json</a> for HTTP, <a href="/asyncapi.yaml">asyncapi.yaml</a> for what goes over sockets.
        </p>
      </Heading>
      {error.value && <Failure message={error.value} retry={() => void read()} />}
      {!from && !error.value && <Skeleton />}
      {from && (
        <>
          <div class="tools">
            <p class="quiet">
              {from.info.title} {from.info.version}, {plural([...operations(from).values()].flat().length, "operation")}
            </p>
            <label class="search">
              <span class="hidden">Filter by words</span>
              <input type="search" placeholder="Filter" value={wanted.value} onInput={(event) => (wanted.value = event.currentTarget.value)} />
            </label>
          </div>
          {groups.length + received.length + sent.length === 0 && <p class="quiet">Nothing matches.</p>}
          {groups.map(([tag, all]) => (
            <section key={tag} class="api" aria-labelledby={`tag-${tag}`}>
              <h2 id={`tag-${tag}`}>{tag}</h2>
              <Prose text={from.tags?.find(({ name }) => name === tag)?.description} />
              <ul class="plain operations">
                {all.map((one) => (
                  <OperationView key={one.method + one.path} from={from} one={one} />
                ))}
              </ul>
            </section>
          ))}
          <FrameList title="Frames to the server" note="JSON texts on the WebSocket `/v1/connect`, one object each." list={sent} />
          <FrameList title="Frames to the client" note="On `/v1/connect`, and one way on the server-sent events of `/v1/events`." list={received} />
        </>
      )}
    </>
  );
}

function FrameList({ title, note, list }: { title: string; note: string; list: [string, Message][] }): JSX.Element | null {
  if (list.length === 0) return null;
  return (
    <section class="api" aria-label={title}>
      <h2>{title}</h2>
      <Prose text={note} />
      <ul class="plain operations">
        {list.map(([type, { summary = "", payload }]) => (
          <li key={type}>
            <details>
              <summary class="frame-type">
                <code class="path">{type}</code>
                <span class="gist">
                  <Inline text={summary} />
                </span>
              </summary>
              <div class="told">
                <Fields from={frames} schema={payload} depth={0} seen={[]} />
              </div>
            </details>
          </li>
        ))}
      </ul>
    </section>
  );
}

function OperationView({ from, one }: { from: Document; one: Operation }): JSX.Element {
  const open = useSignal(false);
  return (
    <li>
      <details onToggle={(event) => (open.value = event.currentTarget.open)}>
        <summary>
          <code class={`method ${one.method}`}>{one.method.toUpperCase()}</code>
          <code class="path">{one.path}</code>
          <span class="gist">{one.summary}</span>
        </summary>
        {open.value && <Told from={from} one={one} />}
      </details>
    </li>
  );
}

/** Everything about one operation; made when somebody asks. */
function Told({ from, one }: { from: Document; one: Operation }): JSX.Element {
  const parameters = (one.parameters ?? []).map((parameter) => resolve(from, parameter));
  const answers = Object.entries(one.responses ?? {}).map(([status, response]) => [status, resolve(from, response)] as const);
  const good = answers.filter(([status]) => status < "4");
  // Refusals look alike: their body is shown once.
  const bad = answers.filter(([status]) => status >= "4");
  return (
    <div class="told">
      <Prose text={one.description} />
      {parameters.length > 0 && (
        <>
          <h3>Parameters</h3>
          <ul class="plain fields">
            {parameters.map(({ name, in: where, required, description, schema }) => (
              <Field key={where + name} name={name} kind={`${where === "path" ? "" : `${where}, `}${words(schema)}`} required={required ?? false}>
                <Prose text={description} />
              </Field>
            ))}
          </ul>
        </>
      )}
      {one.requestBody && (
        <>
          <h3>Body</h3>
          <Content from={from} body={resolve(from, one.requestBody)} />
        </>
      )}
      {good.map(([status, response]) => (
        <section key={status}>
          <h3>
            <span class="mono">{status}</span> <Inline text={response.description ?? ""} />
          </h3>
          <Content from={from} body={{ ...response, description: "" }} />
        </section>
      ))}
      {bad.length > 0 && (
        <>
          <h3>Refusals</h3>
          <ul class="plain fields">
            {bad.map(([status, { description = "" }]) => (
              <li key={status}>
                <code>{status}</code>{" "}
                <span class="muted">
                  <Inline text={description} />
                </span>
              </li>
            ))}
          </ul>
          {bad[0] && <Content from={from} body={{ ...bad[0][1], description: "" }} />}
        </>
      )}
      <h3>By hand</h3>
      <pre tabIndex={0}>{curl(one, location.origin)}</pre>
    </div>
  );
}

function Content({ from, body }: { from: Document; body: Body }): JSX.Element {
  return (
    <>
      <Prose text={body.description} />
      {Object.entries(body.content ?? {}).map(([media, { schema }]) => (
        <div key={media} class="content">
          <p class="muted">
            <span class="mono">{media}</span> {words(schema)}
          </p>
          <Fields from={from} schema={schema} depth={0} seen={[]} />
        </div>
      ))}
    </>
  );
}

/** The fields of an object, and theirs; a type that contains itself is named and not opened again. */
function Fields({ from, schema, depth, seen }: { from: Source; schema: Schema | undefined; depth: number; seen: string[] }): JSX.Element | null {
  const found = inside(from, schema);
  const names = schema ? [nameOf(schema), nameOf(schema.items ?? {})].filter(Boolean) : [];
  if (!found?.properties || depth > DEPTH_MAX || names.some((name) => seen.includes(name))) return null;
  return (
    <ul class="plain fields">
      {Object.entries(found.properties).map(([name, field]) => (
        <Field key={name} name={name} kind={words(field)} required={found.required?.includes(name) ?? false}>
          <Prose text={field.description ?? resolve(from, field).description} />
          <Fields from={from} schema={field} depth={depth + 1} seen={[...seen, ...names]} />
        </Field>
      ))}
    </ul>
  );
}

function Field({ name, kind, required, children }: { name: string; kind: string; required: boolean; children: ComponentChildren }): JSX.Element {
  return (
    <li>
      <code>{name}</code> <span class="muted">{kind}</span>
      {!required && <span class="muted optional"> optional</span>}
      {children}
    </li>
  );
}

/** Text of a description, paragraph by paragraph; of Markdown it knows `code`. */
function Prose({ text }: { text: string | undefined }): JSX.Element | null {
  if (!text) return null;
  return (
    <>
      {text
        .trim()
        .split(/\n{2,}/)
        .map((paragraph) => (
          <p key={paragraph}>
            <Inline text={paragraph} />
          </p>
        ))}
    </>
  );
}

function Inline({ text }: { text: string }): JSX.Element {
  return <>{text.split("`").map((part, index) => (index % 2 ? <code key={index}>{part}</code> : part))}</>;
}
