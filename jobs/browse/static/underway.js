// @ts-check
// The view of a run that has not ended: progress, throughput, failures, and the funnel so far.
import { $, ask, count, fail, make } from "./dom.js";

const EVERY_MS = 2000;

/** @param {any} state */
const draw = (state) => {
  $("name").textContent = state.name;
  $("about").textContent = `recipe ${state.recipe}, ${count(state.inputs)} inputs`;
  const phases = Object.entries(state.phases).filter(([phase]) => phase !== "pass").map(([phase, tasks]) => `${phase} ${tasks}`);
  $("underway-said").textContent = `${count(state.done)}${state.units ? ` of ${count(state.units)}` : ""} units, ${count(state.records)} records, ${count(state.kept)} kept so far.`;
  $("underway-bar").max = state.units || 1;
  $("underway-bar").value = state.done;
  const failures = Object.entries(state.failed).map(([kind, number]) => `${kind} ${number}`).join(", ");
  /** @type {Array<[string, string]>} */
  const facts = [
    ["records per second", state.per_second === null ? "–" : state.per_second.toFixed(1)],
    ["records per second of a worker", state.per_cpu_second === null ? "–" : state.per_cpu_second.toFixed(1)],
    ["failures", failures || "none"],
    ["tasks of later phases", phases.join(", ") || "none yet"],
  ];
  $("underway-facts").replaceChildren(...facts.flatMap(([name, fact]) => [make("dt", "", name), make("dd", "", fact)]));
  $("underway-funnel").tBodies[0].replaceChildren(...state.funnel.map((/** @type {any} */ row) =>
    make("tr", "", "", make("th", "", row.name), make("td", "n", count(row.records)), make("td", "n", count(row.left)))));
};

/** Shows a run until it has ended. @param {any} state @param {() => void} ended */
export const watch = (state, ended) => {
  document.title = `${state.name} – corpus serve`;
  draw(state);
  setTimeout(() => ask("state").then((next) => {
    fail(null);
    if (next.ended) ended();
    else watch(next, ended);
  }).catch((error) => {
    fail(error);
    watch(state, ended);
  }), EVERY_MS);
};
