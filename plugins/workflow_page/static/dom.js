// Elements and wording. Text always becomes a text node, never markup: what the store says is data.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}

export const el = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
export const svg = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
export const byId = (id) => document.getElementById(id);

/** 4 significant digits, with a sign that lines up. */
export function number(value) {
  if (value === null || value === undefined) return "–";
  return String(Number(value.toPrecision(4))).replace("-", "−");
}

/** The day, and the time where there is one, in UTC. */
export function time(iso) {
  const text = new Date(iso).toISOString();
  return text.slice(11, 16) === "00:00" ? text.slice(0, 10) : `${text.slice(0, 10)} ${text.slice(11, 16)} UTC`;
}

/** Links to documents, in this frame: Airflow's allows no new windows. */
export const links = (documents) => documents.map(({ name, href }) => el("a", { class: "document", href }, name));

export const words = (name) => name.replaceAll("_", " ");

/** `loop/monitoring→mlops` as people say it. */
export function startedBy(origin) {
  const [kind, rest] = origin.split(/\/(.*)/s);
  if (!rest) return words(origin);
  const how = { manual: "by hand", loop: "loop" }[kind] ?? kind;
  return `${how}: ${words(rest).replace("→", " → ")}`;
}

const SIGNS = { active: "●", waiting: "❚❚", live: "✓", failed: "✕", healthy: "●", breach: "◆", inconclusive: "○" };

/** A state or verdict: colour, sign and word. */
export function badge(state, word = state) {
  const sign = SIGNS[state] ? el("span", { "aria-hidden": "true" }, `${SIGNS[state]} `) : "";
  return el("span", { class: `badge is-${state}` }, sign, word);
}
