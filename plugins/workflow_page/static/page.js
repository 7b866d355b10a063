// Fetches the overview every few seconds and draws what has changed.

import { drawChart } from "./chart.js";
import { badge, byId, el, number, words } from "./dom.js";
import { currentCycle, cycleTable, firedLoops, liveRelease, loopKinds, metricNumbers } from "./parts.js";
import { drawRing } from "./ring.js";

const EVERY_MS = 5000;
const LIST_EVERY = 6; // refreshes
const TIMEOUT_MS = 15000;

const asked = new URLSearchParams(location.search).get("use_case");
const openTables = new Set();
let names = [];
let view = null;
let drawn = "";
let refreshes = 0;

class Problem extends Error {}

async function get(path) {
  let answer;
  try {
    answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS) });
  } catch {
    throw new Problem("Airflow's API server does not answer. This page asks again every few seconds.");
  }
  if (answer.ok) return answer.json();
  if (answer.status === 401) throw new Problem("Your login to Airflow has ended. Log in again, then reload this page.");
  const body = await answer.json().catch(() => ({}));
  if (body.what) throw new Problem(sayProblem(body));
  throw new Problem(body.detail ?? `Airflow's API server answered with ${answer.status}: its log says why.`);
}

function sayProblem({ what, where, allowed, next_step: next }) {
  const parts = [where ? `${where}: ${what}` : what, allowed ? `Allowed: ${allowed}` : "", next ? `Next: ${next}` : ""];
  return parts.filter(Boolean).join(". ");
}

async function refresh() {
  try {
    if (refreshes++ % LIST_EVERY === 0 || !names.length) names = await get("api/use-cases");
    const problems = names.filter((one) => one.problem).map((one) => [`The contract of ${one.name} cannot be used`, one.problem]);
    const name = asked ?? (names.find((one) => !one.problem) ?? names[0])?.name;
    if (!name) {
      tell([["There is no use case yet", "Add a folder with a contract.yaml to include/use_cases."]]);
      return;
    }
    offer(name);
    view = await get(`api/use-cases/${encodeURIComponent(name)}`);
    tell([...problems, ...view.stranded.map((text) => ["Nobody receives this: is the DAG paused?", text])]);
    byId("updated").textContent = `Updated ${new Date().toISOString().slice(11, 19)} UTC`;
    draw();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    refreshes = 0;
    tell([["This page has no current data", error.message]]);
    byId("updated").textContent = view ? "Not up to date" : "No data";
  }
}

/** The use cases to choose from; choosing one is a navigation, so that Airflow's address follows. */
function offer(name) {
  const select = byId("use-case");
  const shown = names.some((one) => one.name === name) ? names : [...names, { name, title: "" }];
  const options = shown.map((one) => el("option", { value: one.name, selected: one.name === name ? "" : null }, one.title || one.name));
  if (select.dataset.shown !== JSON.stringify(shown)) {
    select.replaceChildren(...options);
    select.dataset.shown = JSON.stringify(shown);
  }
}

function tell(problems) {
  const text = JSON.stringify(problems);
  const alerts = byId("alerts");
  if (alerts.dataset.shown === text) return; // a screen reader need not hear it again
  alerts.dataset.shown = text;
  alerts.replaceChildren(...problems.map(([what, why]) => el("div", { class: "alert" }, el("strong", {}, what), el("p", {}, why))));
}

function draw(force = false) {
  const text = JSON.stringify(view);
  if (text === drawn && !force) return;
  drawn = text;
  byId("main").hidden = false;
  byId("title").textContent = view.use_case.title || view.use_case.name;
  document.title = `Kreislauf: ${view.use_case.title || view.use_case.name}`;
  byId("purpose").textContent = view.purpose;
  byId("loops-title").textContent = `Loops of the newest ${view.fired_cycles} cycles`;
  byId("cycle").replaceChildren(currentCycle(view));
  byId("live").replaceChildren(liveRelease(view));
  byId("loops").replaceChildren(firedLoops(view), loopKinds(view));
  byId("cycles").replaceChildren(cycleTable(view));
  drawRing(byId("ring"), view);
  byId("metrics").replaceChildren(...view.metrics.map(metricCard));
  for (const metric of view.metrics) drawChart(byId(`chart-${metric.name}`), metric, view.promotions);
}

function metricCard(metric) {
  const last = metric.points.at(-1);
  const numbers = el("details", { open: openTables.has(metric.name) ? "" : null }, el("summary", {}, "The numbers"), metricNumbers(metric));
  numbers.addEventListener("toggle", () => (numbers.open ? openTables.add(metric.name) : openTables.delete(metric.name)));
  return el(
    "section",
    { class: "card", "aria-labelledby": `metric-${metric.name}` },
    el("h2", { id: `metric-${metric.name}` }, words(metric.name)),
    last ? el("p", { class: "lead" }, el("strong", {}, number(last.value)), ` ${metric.unit} `, badge(last.verdict)) : "",
    el("div", { id: `chart-${metric.name}` }),
    last ? legend(metric) : "",
    last ? numbers : "",
  );
}

function legend(metric) {
  const threshold = metric.threshold ?? metric.points.at(-1).threshold;
  return el(
    "p",
    { class: "legend muted small" },
    badge("healthy"),
    badge("breach"),
    badge("inconclusive"),
    el("span", {}, el("span", { class: "dashes" }, "┅ "), `threshold ${number(threshold)}${metric.direction ? `, ${metric.direction} is better` : ""}`),
    el("span", {}, "│ interval"),
    el("span", {}, "┊ r1: release 1 went live"),
  );
}

byId("use-case").addEventListener("change", (event) => {
  location.assign(`?use_case=${encodeURIComponent(event.target.value)}`);
});

let width = 0;
new ResizeObserver(() => {
  const now = document.documentElement.clientWidth;
  if (view && width && now !== width) draw(true);
  width = now;
}).observe(document.documentElement);

async function keepFresh() {
  if (!document.hidden) await refresh();
  setTimeout(keepFresh, EVERY_MS);
}

document.addEventListener("visibilitychange", () => !document.hidden && refresh());
keepFresh();
