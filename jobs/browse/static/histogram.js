// @ts-check
// A histogram with its limits as handles. Kept pages are drawn up from the base line, dropped ones down.
import { svg, count, value as shownValue } from "./dom.js";

const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [312, 156, 30, 6, 14, 18];

/** @typedef {{edges: number[], scale: string, whole: boolean, ticks: Array<[number, string]>, kept: number[], dropped: number[], log: boolean}} Distribution */
/** @typedef {{bound: string, label: string, get: () => number | null, was: number | null, set: (value: number) => void, settle: () => void}} Handle */

/** Returns the place of a value, counted in bins. @param {number[]} edges @param {number} value */
export const placeOf = (edges, value) => {
  const last = edges.length - 1;
  if (value <= edges[0]) return value === edges[0] ? 0 : -0.3;
  if (value >= edges[last]) return value === edges[last] ? last : last + 0.3;
  let at = 0;
  while (value >= edges[at + 1]) at += 1;
  return at + (value - edges[at]) / (edges[at + 1] - edges[at]);
};

/** Returns a round value at a place. @param {number[]} edges @param {number} place @param {boolean} whole */
export const valueAt = (edges, place, whole) => {
  const last = edges.length - 1;
  const within = Math.min(Math.max(place, 0), last);
  const at = Math.min(Math.floor(within), last - 1);
  const wide = edges[at + 1] - edges[at];
  const value = edges[at] + (within - at) * wide;
  if (whole) return Math.round(value);
  const digits = Math.min(Math.max(Math.ceil(-Math.log10(wide)) + 1, 0), 15);
  return Number(value.toFixed(digits));
};

/** Draws a distribution into a container, and returns a function that puts the handles where the limits are now.
 * @param {HTMLElement} into @param {Distribution} found @param {Handle[]} handles @param {string} label */
export const drawHistogram = (into, found, handles, label) => {
  const bins = found.kept.length;
  const [low, high] = [-0.4, Math.max(bins, 6) + 0.4];
  const grow = found.log ? Math.log1p : (/** @type {number} */ number) => number;
  const [up, down] = [Math.max(grow(Math.max(...found.kept)), 1e-9), Math.max(grow(Math.max(...found.dropped)), 1e-9)];
  const x = (/** @type {number} */ place) => LEFT + ((place - low) / (high - low)) * (WIDTH - LEFT - RIGHT);
  const placeAt = (/** @type {number} */ at) => low + ((at - LEFT) / (WIDTH - LEFT - RIGHT)) * (high - low);
  const y = (/** @type {number} */ height) => TOP + ((up - height) / (up + down)) * (HEIGHT - TOP - BOTTOM);
  const picture = svg("svg", { class: "histogram", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "group", "aria-label": label });
  for (const [kind, numbers, sign] of /** @type {Array<[string, number[], number]>} */ ([["kept", found.kept, 1], ["dropped", found.dropped, -1]])) {
    numbers.forEach((number, at) => {
      if (!number) return;
      const height = sign * Math.max(grow(number), 0.012 * (up + down));
      const bar = svg("rect", { class: kind, x: x(at + 0.07), width: x(at + 0.93) - x(at + 0.07), y: Math.min(y(0), y(height)), height: Math.abs(y(height) - y(0)) });
      const range = `${shownValue(found.edges[at])} to ${shownValue(found.edges[at + 1])}`;
      bar.append(svg("title", {}, `${range}: ${count(number)} ${kind}`));
      picture.append(bar);
    });
  }
  picture.append(svg("line", { class: "base", x1: x(low), x2: x(high), y1: y(0), y2: y(0) }));
  for (const [place, text] of found.ticks) picture.append(svg("text", { x: x(place), y: HEIGHT - 4, "text-anchor": "middle" }, text));
  picture.append(svg("text", { class: "count", x: LEFT - 4, y: TOP + 4, "text-anchor": "end" }, count(Math.max(...found.kept))));
  picture.append(svg("text", { class: "count", x: LEFT - 4, y: HEIGHT - BOTTOM, "text-anchor": "end" }, count(Math.max(...found.dropped))));
  const movers = handles.map((handle) => addHandle(picture, found, handle, x, placeAt));
  into.replaceChildren(picture);
  return () => movers.forEach((move) => move());
};

/** @param {SVGElement} picture @param {Distribution} found @param {Handle} handle
 * @param {(place: number) => number} x @param {(at: number) => number} placeAt */
const addHandle = (picture, found, handle, x, placeAt) => {
  const { edges, whole } = found;
  if (handle.was !== null) {
    const at = x(placeOf(edges, handle.was));
    picture.append(svg("line", { class: "limit", x1: at, x2: at, y1: TOP, y2: HEIGHT - BOTTOM }));
  }
  const group = svg("g", { class: "handle", role: "slider", tabindex: 0, "aria-label": handle.label, "aria-orientation": "horizontal",
    "aria-valuemin": edges[0], "aria-valuemax": edges[edges.length - 1], "data-bound": handle.bound });
  const line = svg("line", { y1: TOP, y2: HEIGHT - BOTTOM });
  const grip = svg("circle", { cy: TOP, r: 6 });
  const area = svg("rect", { class: "grab", y: 0, width: 24, height: HEIGHT });
  const text = svg("text", { class: "bound", y: 8 });
  group.append(area, line, grip, text);
  picture.append(group);
  const move = () => {
    const now = handle.get();
    group.toggleAttribute("hidden", now === null);
    group.classList.toggle("off", now === null);
    if (now === null) return;
    const at = x(placeOf(edges, now));
    for (const [part, name, by] of /** @type {Array<[SVGElement, string, number]>} */ ([[line, "x1", 0], [line, "x2", 0], [grip, "cx", 0], [area, "x", -12]])) {
      part.setAttribute(name, String(at + by));
    }
    const right = at > WIDTH * 0.6;
    text.setAttribute("x", String(at + (right ? -9 : 9)));
    text.setAttribute("text-anchor", right ? "end" : "start");
    text.textContent = `${handle.bound.replace("_", " ")} ${shownValue(now)}`;
    group.setAttribute("aria-valuenow", String(now));
    group.setAttribute("aria-valuetext", `${handle.bound} ${shownValue(now)}`);
  };
  const place = () => placeOf(edges, /** @type {number} */ (handle.get()));
  group.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    group.setPointerCapture(event.pointerId);
    group.focus();
  });
  group.addEventListener("pointermove", (event) => {
    if (!group.hasPointerCapture(event.pointerId)) return;
    const box = picture.getBoundingClientRect();
    handle.set(valueAt(edges, placeAt(((event.clientX - box.left) / box.width) * WIDTH), whole));
  });
  group.addEventListener("pointerup", () => handle.settle());
  group.addEventListener("keydown", (event) => {
    const ends = /** @type {Record<string, number>} */ ({ Home: 0, End: edges.length - 1 });
    const steps = /** @type {Record<string, number>} */ ({ ArrowLeft: -0.2, ArrowDown: -0.2, ArrowRight: 0.2, ArrowUp: 0.2, PageDown: -1, PageUp: 1 });
    if (!(event.key in ends) && !(event.key in steps)) return;
    event.preventDefault();
    const before = /** @type {number} */ (handle.get());
    let next = valueAt(edges, event.key in ends ? ends[event.key] : place() + steps[event.key], whole);
    if (whole && next === before && event.key in steps) next = before + Math.sign(steps[event.key]);
    handle.set(next);
  });
  group.addEventListener("blur", () => handle.settle());
  move();
  return move;
};
