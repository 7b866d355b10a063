// The parts of the page that are made of words: current cycle, live release, loops, numbers, the table of cycles.

import { badge, el, links, number, startedBy, time, words } from "./dom.js";
import { sentence } from "./ring.js";

const opened = new Set();

/** A text of any length: long ones can be unfolded, and stay so when the page is drawn anew. */
function longText(text, key) {
  if (text.length <= 150) return text;
  const details = el("details", { open: opened.has(key) ? "" : null }, el("summary", {}, `${text.slice(0, 130)}…`), el("p", {}, text));
  details.addEventListener("toggle", () => (details.open ? opened.add(key) : opened.delete(key)));
  return details;
}

const facts = (...pairs) =>
  el("dl", { class: "facts" }, ...pairs.filter(([, value]) => value !== "" && value !== null).flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));

export function currentCycle(view) {
  const cycle = view.current;
  if (!cycle) return el("p", { class: "muted" }, "No cycle yet: trigger the requirements DAG to start the first one.");
  const here = view.standing.places.find((place) => place.state === "here");
  return el(
    "div",
    {},
    el("p", { class: "lead" }, el("strong", { class: "code" }, cycle.cycle_id), " ", badge(cycle.state)),
    facts(
      ["Stands at", words(here.stage) + (view.standing.attempt > 1 ? `, attempt ${view.standing.attempt}` : "")],
      ["Started by", startedBy(cycle.started_by)],
      ["Reason", longText(cycle.reason, "current")],
      ["As of", time(cycle.as_of)],
      ["Note", cycle.note ? longText(cycle.note, "note") : ""],
      ["Contract", contract(view.sign_off)],
    ),
  );
}

function contract(signOff) {
  if (!signOff) return "";
  const decision = signOff.decision ? `${signOff.decision} by ${signOff.by} (${signOff.how})` : "not signed yet: trigger the requirements DAG";
  return el("span", {}, el("span", { class: "code" }, signOff.contract.slice(0, 12)), ` ${decision}`);
}

const documents = ({ documents }) => (documents.length ? el("span", { class: "documents" }, ...links(documents)) : "");

export function liveRelease(view) {
  const live = view.live;
  if (!live) return el("p", { class: "muted" }, "Nothing is live yet.");
  const gain = live.gain === null ? "" : `${number(live.gain * 100)} % lower error than the baseline (${live.metric.length <= 4 ? live.metric.toUpperCase() : words(live.metric)}, held-out rows)`;
  return el(
    "div",
    {},
    el("p", { class: "lead" }, el("strong", {}, `Release ${live.version}`), el("span", { class: "muted" }, ` from cycle ${live.cycle_id}`)),
    facts(["Predicts", view.predicted?.text ?? ""], ["Since", time(live.since)], ["Model", words(live.family)], ["Gain", gain], ["Promoted", `${time(live.promoted_at)}: ${live.reason}`], ["Documents", documents(live)]),
  );
}

export function firedLoops(view) {
  if (!view.fired.length) return el("p", { class: "muted" }, `No loop fired in the newest ${view.fired_cycles} cycles.`);
  const item = (loop) =>
    el("li", { class: loop.refused === loop.times ? "is-refused" : null }, el("strong", {}, sentence(loop)), el("span", { class: "muted block" }, `last in ${loop.cycle_id}, ${words(loop.reason)}: `, longText(loop.text, loop.edge)));
  return el("ul", { class: "loops" }, ...view.fired.map(item));
}

/** Which loops pay: per kind of loop how many, how many helped, by how much, and what they cost. */
export function loopKinds(view) {
  if (!view.loop_kinds.length) return "";
  const rows = view.loop_kinds.map((kind) => [
    el("span", {}, `${words(kind.edge.replace("→", " → "))}`, el("span", { class: "muted small block" }, words(kind.reason))),
    `${kind.raised}${kind.refused ? `, ${kind.refused} refused` : ""}`,
    kind.closed ? `${kind.helped} of ${kind.closed}${kind.surely_helped ? `, ${kind.surely_helped} for sure` : ""}` : "not known yet",
    meanGain(kind),
    duration(kind.machine_seconds),
  ]);
  return table(["Loop", "Raised", "Helped", "Mean gain", "Machine time"], rows, "Which loops pay");
}

function meanGain(kind) {
  if (kind.gain === null) return "–";
  const sure = kind.gain_low === null || kind.gain_high === null ? "" : ` (${number(kind.gain_low)} to ${number(kind.gain_high)})`;
  return el("span", {}, number(kind.gain) + sure, el("span", { class: "muted small block" }, `${words(kind.metric)}, ${kind.unit}`));
}

function duration(seconds) {
  if (seconds >= 5400) return `${number(seconds / 3600)} h`;
  return seconds >= 90 ? `${number(seconds / 60)} min` : `${Math.round(seconds)} s`;
}

export function metricNumbers(metric) {
  const rows = metric.points.toReversed().slice(0, 30).map((point) => [
    time(point.as_of),
    String(point.release),
    number(point.value),
    point.low === null || point.high === null ? "–" : `${number(point.low)} to ${number(point.high)}`,
    number(point.threshold),
    badge(point.verdict),
    point.text,
  ]);
  return table(["As of", "Release", "Value", "Interval", "Threshold", "Verdict", "Why"], rows, `${words(metric.name)}: newest verdicts`);
}

export function cycleTable(view) {
  if (!view.cycles.length) return el("p", { class: "muted" }, "None yet.");
  const rows = view.cycles.map((cycle) => [
    el("span", { class: "code" }, cycle.cycle_id),
    startedBy(cycle.started_by),
    longText(cycle.reason, cycle.cycle_id),
    el("span", {}, state(cycle, view.live), cycle.note ? el("span", { class: "muted small block" }, longText(cycle.note, `${cycle.cycle_id} note`)) : ""),
    cycle.release === null ? "–" : String(cycle.release),
    change(cycle),
    helped(cycle),
    documents(cycle) || "–",
  ]);
  const heads = ["Cycle", "Started by", "Reason", "State", "Release", "Metric before → after", "Did it help?", "Documents"];
  return table(heads, rows, `The newest ${view.cycles.length} cycles, newest first`);
}

/** "live" is the end that a cycle reached; only one release is live now. */
function state(cycle, live) {
  if (cycle.state !== "live" || cycle.release === live?.version) return badge(cycle.state);
  return badge("past", "was live");
}

const isOpen = (cycle) => !["refused", "failed", "closed"].includes(cycle.state);

function change(cycle) {
  const found = cycle.change;
  if (!found) return "–";
  const sure = found.low === null || found.high === null ? "" : ` (${number(found.low)} to ${number(found.high)})`;
  const unknown = isOpen(cycle) ? "not known yet" : "–";
  const after = found.after === null ? unknown : number(found.after) + sure;
  return el("span", {}, `${number(found.before)} → ${after}`, el("span", { class: "muted small block" }, `${words(found.metric)}, ${found.unit}`));
}

function helped(cycle) {
  if (!cycle.change) return "–";
  if (cycle.change.helped === null) return isOpen(cycle) ? "not known yet" : "–";
  const { helped: better, gain_low: low, gain_high: high } = cycle.change;
  const sure = (low !== null && low > 0) || (high !== null && high < 0) ? ", for sure" : "";
  return better ? el("span", { class: "is-healthy" }, `✓ yes${sure}`) : el("span", { class: "is-breach" }, `✕ no${sure}`);
}

/** A table that turns into cards on a narrow screen; explicit roles keep its meaning there. */
function table(heads, rows, caption) {
  const cell = (content, index) =>
    el(index ? "td" : "th", { role: index ? "cell" : "rowheader", scope: index ? null : "row", "data-label": heads[index] }, el("div", {}, content));
  return el(
    "table",
    { role: "table" },
    el("caption", { class: "hidden" }, caption),
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, ...heads.map((head) => el("th", { role: "columnheader", scope: "col" }, head)))),
    el("tbody", { role: "rowgroup" }, ...rows.map((row) => el("tr", { role: "row" }, ...row.map(cell)))),
  );
}
