// A business metric over time: its verdicts, the threshold, and where releases went live.

import { el, number, svg, time, words } from "./dom.js";

const HEIGHT = 230;
const LEFT = 58;
const RIGHT = 14;
const TOP = 30;
const BOTTOM = 30;
const MANY = 40;
const DAY_MS = 86400000;

export function drawChart(container, metric, promotions) {
  const width = Math.max(container.clientWidth, 240);
  if (!metric.points.length) {
    container.replaceChildren(el("p", { class: "muted" }, "No verdict yet: monitoring has not judged this metric."));
    return;
  }
  const scale = scales(metric, width, promotions);
  const shown = promotions.filter((one) => Date.parse(one.as_of) >= scale.x0 && Date.parse(one.as_of) <= scale.x1);
  const picture = svg(
    "svg",
    { class: metric.points.length > MANY ? "chart is-dense" : "chart", role: "img", "aria-label": describe(metric, shown), width, height: HEIGHT },
    ...yAxis(scale, width),
    ...xAxis(scale, width),
    ...shown.flatMap((one) => promotion(one, scale)),
    threshold(metric, scale, width),
    ...metric.points.map((point) => whisker(point, scale)),
    ...releases(metric.points).map((points) => line(points, scale)),
    ...metric.points.map((point) => mark(point, scale)),
  );
  container.replaceChildren(picture);
}

function scales(metric, width, promotions) {
  const judged = new Set(metric.points.map((point) => point.release));
  const times = [...metric.points, ...promotions.filter((one) => judged.has(one.version))].map((one) => Date.parse(one.as_of));
  const margin = Math.max((Math.max(...times) - Math.min(...times)) * 0.04, DAY_MS);
  const [x0, x1] = [Math.min(...times) - margin, Math.max(...times) + margin];
  const values = metric.points.flatMap((point) => [point.value, point.threshold]);
  const known = [...values, metric.threshold].filter((value) => value !== null);
  const span = Math.max(...known) - Math.min(...known) || Math.abs(known[0]) * 0.2 || 1;
  const [y0, y1] = [Math.min(...known) - span * 0.25, Math.max(...known) + span * 0.25];
  return {
    x0,
    x1,
    y0,
    y1,
    x: (iso) => LEFT + ((Date.parse(iso) - x0) / (x1 - x0)) * (width - LEFT - RIGHT),
    // an interval may reach far beyond the values: it ends at the edge
    y: (value) => TOP + (1 - (Math.min(Math.max(value, y0), y1) - y0) / (y1 - y0)) * (HEIGHT - TOP - BOTTOM),
  };
}

/** Round steps, about `count` of them. */
function steps(from, to, count) {
  const rough = (to - from) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((one) => one >= rough);
  const found = [];
  for (let value = Math.ceil(from / step) * step; value <= to; value += step) found.push(Math.abs(value) < step / 1e6 ? 0 : value);
  return found;
}

const yAxis = (scale, width) =>
  steps(scale.y0, scale.y1, 4).flatMap((value) => [
    svg("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: scale.y(value), y2: scale.y(value) }),
    svg("text", { class: "tick", x: LEFT - 8, y: scale.y(value) + 4, "text-anchor": "end" }, number(value)),
  ]);

/** Years or months where the time is long, else evenly spread moments. */
function xAxis(scale, width) {
  const most = Math.max(2, Math.floor((width - LEFT) / 80));
  const months = (scale.x1 - scale.x0) / (30.4 * DAY_MS);
  const step = [1, 3, 6, 12, 24, 60, 120].find((one) => months / one <= most) ?? 240;
  const labels = [];
  if (months > 2) {
    const first = new Date(scale.x0).getUTCFullYear();
    for (let month = 0; month <= months + 24; month += step) labels.push([Date.UTC(first, month), step < 12 ? 7 : 4]);
  } else {
    for (let part = 1; part < 4; part++) labels.push([scale.x0 + ((scale.x1 - scale.x0) * part) / 4, 10]);
  }
  return labels
    .filter(([moment]) => moment >= scale.x0 && moment <= scale.x1)
    .map(([moment, length]) => {
      const iso = new Date(moment).toISOString();
      return svg("text", { class: "tick", x: scale.x(iso), y: HEIGHT - 8, "text-anchor": "middle" }, iso.slice(0, length));
    });
}

const promotion = (one, scale) => [
  svg("line", { class: "promotion", x1: scale.x(one.as_of), x2: scale.x(one.as_of), y1: TOP - 10, y2: HEIGHT - BOTTOM }),
  svg("text", { class: "promotion-label", x: scale.x(one.as_of), y: TOP - 14, "text-anchor": "middle" }, `r${one.version}`),
];

/** The threshold as it was at each verdict, on to today's. */
function threshold(metric, scale, width) {
  const first = metric.points[0];
  let d = `M${LEFT} ${scale.y(first.threshold)}`;
  for (const point of metric.points) d += `H${scale.x(point.as_of)}V${scale.y(point.threshold)}`;
  const last = metric.threshold ?? metric.points.at(-1).threshold;
  return svg("path", { class: "threshold", d: `${d}V${scale.y(last)}H${width - RIGHT}` });
}

function whisker(point, scale) {
  if (point.low === null || point.high === null) return "";
  const x = scale.x(point.as_of);
  return svg("line", { class: "whisker", x1: x, x2: x, y1: scale.y(point.low), y2: scale.y(point.high) });
}

/** Stretches of verdicts on one release; a line does not connect two releases. */
function releases(points) {
  const found = [];
  for (const point of points.filter((one) => one.value !== null)) {
    if (found.at(-1)?.[0].release === point.release) found.at(-1).push(point);
    else found.push([point]);
  }
  return found;
}

const line = (points, scale) =>
  svg("polyline", { class: "line", points: points.map((point) => `${scale.x(point.as_of)},${scale.y(point.value)}`).join(" ") });

function mark(point, scale) {
  const x = scale.x(point.as_of);
  const y = point.value === null ? HEIGHT - BOTTOM : scale.y(point.value);
  const title = svg("title", {}, `${time(point.as_of)}, release ${point.release}: ${point.verdict}. ${point.text}`);
  const attributes = { class: `mark is-${point.verdict}` };
  if (point.verdict === "breach") return svg("path", { ...attributes, d: `M${x} ${y - 6}l6 6l-6 6l-6 -6Z` }, title);
  return svg("circle", { ...attributes, cx: x, cy: y, r: 4.5 }, title);
}

function describe(metric, promotions) {
  const last = metric.points.at(-1);
  const breaches = metric.points.filter((point) => point.verdict === "breach").length;
  const live = promotions.map((one) => `release ${one.version} on ${time(one.as_of)}`).join(", ");
  return (
    `${words(metric.name)} over time: ${metric.points.length} verdicts from ${time(metric.points[0].as_of)} to ${time(last.as_of)}, ` +
    `${breaches} of them breaches of the threshold. Latest: ${number(last.value)} ${metric.unit}, ${last.verdict}, ` +
    `threshold ${number(last.threshold)}.${live ? ` Went live: ${live}.` : ""} The numbers follow as a table.`
  );
}
