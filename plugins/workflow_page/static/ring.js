// The ring: seven disciplines on an ellipse, the place where the work is, and the loops that fired.

import { svg, words } from "./dom.js";

const PEOPLE = {
  requirements: "product owner",
  data_engineering: "data engineer",
  data_science: "data scientist",
  mlops: "MLOps engineer",
  monitoring: "MLOps engineer",
};
// From which discipline a role raises a loop, and with which one it takes it up.
const RAISES = { requirements: 0, data_engineering: 1, data_science: 4, mlops: 5, monitoring: 6 };
const TAKES_UP = { requirements: 0, data_engineering: 1, data_science: 2, mlops: 5, monitoring: 6 };

export function drawRing(container, view) {
  const { places } = view.standing;
  const shape = geometry(Math.max(280, Math.min(container.clientWidth, 580)), places.length);
  const picture = svg(
    "svg",
    { class: "ring", role: "img", "aria-label": describe(view), width: shape.width, height: shape.height },
    ...tracks(places, shape),
    ...places.map((_, index) => chevron(shape, index)),
    ...view.fired.flatMap((loop) => arc(loop, shape)),
    centre(view.current, shape),
    ...places.map((place, index) => node(place, index, view.current, shape)),
  );
  container.replaceChildren(picture);
}

function geometry(width, count) {
  const wide = width > 440;
  const [w, h] = wide ? [124, 48] : [100, 42];
  const rx = width / 2 - w / 2 - 3;
  const ry = wide ? rx * 0.94 : rx * 1.12;
  const height = 2 * ry * 0.951 + ry * 0.049 + h + 14;
  const middle = { x: width / 2, y: ry + h / 2 + 6 };
  const angle = (index) => (index / count) * 2 * Math.PI - Math.PI / 2;
  const at = (index) => ({ x: middle.x + rx * Math.cos(angle(index)), y: middle.y + ry * Math.sin(angle(index)) });
  return { wide, w, h, rx, ry, width, height, middle, angle, at };
}

/** One thick arc per role, around all of its disciplines. */
function tracks(places, shape) {
  const groups = [];
  places.forEach((place, index) => {
    const last = groups.at(-1);
    if (last?.role === place.role) last.to = index;
    else groups.push({ role: place.role, from: index, to: index });
  });
  return groups.map(({ role, from, to }) => {
    const [a, b] = [shape.at(from - 0.44), shape.at(to + 0.44)];
    const path = `M${a.x} ${a.y} A${shape.rx} ${shape.ry} 0 0 1 ${b.x} ${b.y}`;
    return svg("path", { class: `track of-${role}`, d: path });
  });
}

/** The direction of the ring, between two disciplines. */
function chevron(shape, index) {
  const [p, next] = [shape.at(index + 0.5), shape.at(index + 0.52)];
  return triangle(p, Math.atan2(next.y - p.y, next.x - p.x), 6, "chevron");
}

function triangle(p, direction, size, className) {
  const corner = (turn, length) => `${p.x + length * Math.cos(direction + turn)},${p.y + length * Math.sin(direction + turn)}`;
  return svg("polygon", { class: className, points: [corner(0, size), corner(2.4, size), corner(-2.4, size)].join(" ") });
}

function node(place, index, current, shape) {
  const { x, y } = shape.at(index);
  const { w, h } = shape;
  const failed = place.state === "here" && current?.state === "failed";
  const sign = failed ? "✕" : place.state === "done" ? "✓" : "";
  const corner = { cx: w / 2 - 9, cy: -h / 2 + 1, r: 9 };
  return svg(
    "g",
    { class: `node is-${failed ? "failed" : place.state}`, transform: `translate(${x} ${y})`, "aria-hidden": "true" },
    svg("rect", { x: -w / 2, y: -h / 2, width: w, height: h, rx: shape.wide ? h / 2 : 13 }),
    svg("text", { class: "stage", y: -3 }, words(place.stage)),
    svg("text", { class: "person", y: 13 }, PEOPLE[place.role] ?? words(place.role)),
    sign ? svg("circle", { class: "sign", ...corner }) : "",
    sign ? svg("text", { class: "sign-text", x: corner.cx, y: corner.cy + 4 }, sign) : "",
  );
}

/** A loop as a curve through the inside, passing the middle on the side where its ends are. */
function arc(loop, shape) {
  const from = RAISES[loop.raised_by];
  const own = loop.raised_by === loop.received_by;
  const to = own ? from - 1 : TAKES_UP[loop.received_by];
  const [a, b, o] = [shape.at(from), shape.at(to), shape.middle];
  const mid = { x: (a.x + b.x) / 2 - o.x, y: (a.y + b.y) / 2 - o.y };
  const away = Math.hypot(mid.x / shape.rx, mid.y / shape.ry) || 0.01;
  const pull = (own ? 0.5 : 0.24 + 0.5 * away) / away;
  const control = { x: o.x + mid.x * (2 * pull - 1), y: o.y + mid.y * (2 * pull - 1) };
  const curve = Array.from({ length: 101 }, (_, step) => bezier(a, control, b, step / 100));
  const visible = curve.filter((p) => !inside(p, a, shape, 3) && !inside(p, b, shape, 9));
  if (visible.length < 3) return [];
  const kind = loop.refused === loop.times ? "refused" : loop.in_current ? "current" : "fired";
  const [before, end] = visible.slice(-2);
  const label = visible[Math.floor(visible.length / 2)];
  const d = visible.map((p, index) => `${index ? "L" : "M"}${p.x.toFixed(1)} ${p.y.toFixed(1)}`).join("");
  return [
    svg("path", { class: `loop is-${kind}`, d }, svg("title", {}, sentence(loop))),
    triangle(end, Math.atan2(end.y - before.y, end.x - before.x), 7, `head is-${kind}`),
    loop.times > 1 ? svg("text", { class: `times is-${kind}`, x: label.x, y: label.y + 4 }, `×${loop.times}`) : "",
  ];
}

function bezier(a, c, b, t) {
  const mix = (axis) => (1 - t) ** 2 * a[axis] + 2 * (1 - t) * t * c[axis] + t ** 2 * b[axis];
  return { x: mix("x"), y: mix("y") };
}

const inside = (p, at, shape, margin) =>
  Math.abs(p.x - at.x) < shape.w / 2 + margin && Math.abs(p.y - at.y) < shape.h / 2 + margin;

const shorten = (text) => (text.length > 12 ? `${text.slice(0, 11)}…` : text);

function centre(current, shape) {
  if (!current) return svg("text", { class: "centre", x: shape.middle.x, y: shape.middle.y }, "no cycle yet");
  const parts = /^(c\d+)-(.*)$/.exec(current.cycle_id); // other forms are a person's choice
  const [first, rest] = parts ? parts.slice(1) : [shorten(current.cycle_id), ""];
  const { x, y } = shape.middle;
  return svg(
    "g",
    { "aria-hidden": "true" },
    svg("text", { class: "centre", x, y: y - 8 }, first),
    shape.wide ? svg("text", { class: "centre-date", x, y: y + 10 }, rest) : "",
    svg("text", { class: `centre-state is-${current.state}`, x, y: y + (shape.wide ? 28 : 10) }, current.state),
  );
}

export const sentence = (loop) =>
  `${words(loop.raised_by)} → ${words(loop.received_by)}: fired ${loop.times === 1 ? "once" : `${loop.times} times`}` +
  (loop.refused ? `, ${loop.refused} refused` : "");

/** The picture in words. */
function describe(view) {
  const { places } = view.standing;
  const here = places.find((place) => place.state === "here");
  const done = places.filter((place) => place.state === "done").map((place) => words(place.stage));
  const cycle = view.current ? `Cycle ${view.current.cycle_id} is ${view.current.state}` : "No cycle yet";
  const at = here ? `, at ${words(here.stage)} (${PEOPLE[here.role]})` : "";
  const before = done.length ? ` Done: ${done.join(", ")}.` : "";
  const loops = view.fired.length ? ` Loops: ${view.fired.map(sentence).join("; ")}.` : " No loops.";
  return `Ring of seven disciplines. ${cycle}${at}.${before}${loops}`;
}
