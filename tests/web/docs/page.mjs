// A page of documentation: its fenced blocks, its links, the paths that it names.
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../../..", import.meta.url));

/**
 * The fenced blocks in order: language, text, and what a comment on the line before says about how it
 * is run (`<!-- run: in the background -->`).
 */
export function blocks(page) {
  const fence = /^(?:<!-- run: (.*?) -->\n)?```(\w*)\n(.*?)^```$/gms;
  return [...page.text.matchAll(fence)].map(([, how = "", language, text]) => ({ how, language, text }));
}

export function read(path) {
  const text = readFileSync(path, "utf8");
  return { path: relative(root, path), folder: dirname(path), text, prose: text.replace(/^```.*?^```$/gms, "") };
}

/** The anchors of a page's headings, as GitHub makes them. */
const anchors = (text) =>
  [...text.replace(/^```.*?^```$/gms, "").matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );

/** Links that lead nowhere, and paths of the repository that are not there. */
export function broken(page) {
  const wrong = [];
  for (const [, link] of page.prose.matchAll(/\]\(([^)\s]+)\)|(?:src|srcset)="([^"]+)"/g)) {
    if (!link || /^https?:/.test(link)) continue;
    const [path, anchor] = link.split("#");
    const target = path ? join(page.folder, path) : join(root, page.path);
    if (!existsSync(target)) wrong.push(`${page.path}: the link ${link} leads nowhere`);
    else if (anchor && !anchors(readFileSync(target, "utf8")).includes(anchor)) wrong.push(`${page.path}: ${link} has no such heading`);
  }
  for (const [, path] of page.prose.matchAll(/`((?:deploy|docs|examples|gateway|shared|src|tests|worker)\/[\w./-]*)`/g)) {
    if (!existsSync(join(root, path))) wrong.push(`${page.path}: there is no ${path}`);
  }
  if (/^(?: {4}|\t)\S/m.test(page.prose.replace(/^ *(?:[-*]|\d+\.) .*\n(?:(?: {2,}.*)?\n)*/gm, ""))) {
    wrong.push(`${page.path}: code stands in fences that say their language, so that it is run`);
  }
  return wrong;
}
