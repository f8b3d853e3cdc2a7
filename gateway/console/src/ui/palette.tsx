/** One box for everything (⌘K, Ctrl K): pages, and whatever an id, a user, a channel, an entry or a position leads to. */

import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { rights } from "../credential.ts";
import { api } from "../gateway.ts";
import { pages } from "../pages.tsx";
import { hrefOfChannel } from "../places.ts";
import { go, to, withQuery } from "../router.ts";
import { paletteOpen } from "./palette-state.ts";

interface Offer {
  href: string;
  name: string;
  note: string;
}

const TYPED_MS = 150;
const FOUND_MAX = 5;
/** Lists that are searched for what was typed, and the page of what is found there. */
const LISTS = ["deployments", "tasks", "agents", "containers"] as const;

/** What the text itself says it is. */
function meant(text: string): Offer[] {
  const offers: Offer[] = [];
  const { operator } = rights.peek();
  if (operator && (/^\d{10,}-\d+$/.test(text) || /^[^\s@]+@\S+$/.test(text))) {
    offers.push({ href: to("explain", text), name: text, note: "Why did it not arrive?" });
  }
  if (/^(deployment|task|agent|container|user|conversation|topic):./.test(text)) {
    offers.push({ href: hrefOfChannel(text), name: text, note: "Channel" });
    if (operator) offers.push({ href: withQuery(to("connections"), { channel: text }), name: text, note: "Who listens now" });
  }
  return offers;
}

/** What people may have meant by a plain word. */
function perhaps(text: string): Offer[] {
  if (!rights.peek().operator || /[\s@:]/.test(text)) return [];
  return [
    { href: to("users", text), name: text, note: "Messages of a user" },
    { href: withQuery(to("connections"), { user: text }), name: text, note: "Connections of a user" },
  ];
}

async function found(text: string): Promise<Offer[]> {
  const lists = LISTS.filter((noun) => rights.peek().reads(noun === "containers" ? "container:*" : noun));
  const answers = await Promise.all(
    lists.map(async (noun) => {
      const answer = await api<Record<string, unknown>>(`/v1/${noun}?limit=${FOUND_MAX}&q=${encodeURIComponent(text)}`).catch(
        () => ({}) as Record<string, unknown>,
      );
      const rows = (answer[noun] ?? []) as { id: string; title?: string; status?: string }[];
      return rows.map(({ id, title, status }) => ({
        href: to(noun, id),
        name: title ? `${title} (${id})` : id,
        note: `${noun.slice(0, -1)}${status ? `, ${status}` : ""}`,
      }));
    }),
  );
  return answers.flat();
}

export function Palette(): JSX.Element | null {
  return paletteOpen.value ? <Box /> : null;
}

function Box(): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  const text = useSignal("");
  const more = useSignal<{ of: string; offers: Offer[] }>({ of: "", offers: [] });
  const at = useSignal(0);
  useEffect(() => dialog.current?.showModal(), []);
  useEffect(() => {
    const wanted = text.value.trim();
    if (!wanted) return;
    const timer = setTimeout(async () => (more.value = { of: wanted, offers: await found(wanted) }), TYPED_MS);
    return () => clearTimeout(timer);
  }, [text.value, text, more]);
  const wanted = text.value.trim();
  const named = pages()
    .filter(({ name }) => name.toLowerCase().includes(wanted.toLowerCase()))
    .map(({ slug, name }) => ({ href: slug ? to(slug) : to(), name, note: "Page" }));
  const rows = wanted ? [...meant(wanted), ...named, ...(more.value.of === wanted ? more.value.offers : []), ...perhaps(wanted)] : named;
  const close = (): void => void (paletteOpen.value = false);
  const choose = (offer: Offer | undefined): void => {
    if (!offer) return;
    close();
    go(offer.href);
  };
  const pressed = (event: KeyboardEvent): void => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && rows.length > 0) {
      event.preventDefault();
      at.value = (at.value + step + rows.length) % rows.length;
    }
  };
  return (
    <dialog ref={dialog} class="palette" aria-label="Go to" onClose={close}>
      <form
        method="dialog"
        onSubmit={(event) => {
          event.preventDefault();
          choose(rows[at.value]);
        }}
      >
        <input
          type="search"
          autofocus
          role="combobox"
          aria-expanded="true"
          aria-controls="offers"
          aria-activedescendant={rows.length > 0 ? `offer-${at.value}` : undefined}
          aria-label="Page, id, user, channel, entry or position"
          placeholder="Page, id, user, channel, entry, position …"
          value={text.value}
          spellcheck={false}
          autocomplete="off"
          onInput={(event) => {
            text.value = event.currentTarget.value;
            at.value = 0;
          }}
          onKeyDown={pressed}
        />
      </form>
      <div id="offers" role="listbox" aria-label="Where to">
        {rows.slice(0, 30).map((offer, index) => (
          <div
            key={`${offer.href} ${offer.note}`}
            id={`offer-${index}`}
            role="option"
            aria-selected={index === at.value}
            tabIndex={-1}
            onClick={() => choose(offer)}
            onKeyDown={pressed}
          >
            <span>{offer.name}</span>
            <span class="muted">{offer.note}</span>
          </div>
        ))}
      </div>
    </dialog>
  );
}
