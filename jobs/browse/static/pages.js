// @ts-check
// The view of pages: a table that is read from the server page by page.
import { $, ask, count, crawled, link, make, newest, size, value } from "./dom.js";
import * as setting from "./setting.js";

const FIELDS = ["words", "url", "domain", "outcome", "rule", "language", "measure", "least", "most", "cluster", "moved"];
const search = newest();
/** @type {number[]} */
let earlier = [];
let start = 0;
/** @type {number | null} */
let next = null;

const form = () => /** @type {HTMLFormElement} */ ($("query"));
/** @param {string} name @returns {HTMLInputElement} */
const field = (name) => /** @type {any} */ (form().elements.namedItem(name));

const question = () => {
  /** @type {Record<string, any>} */
  const asked = Object.fromEntries(FIELDS.map((name) => [name, field(name).value.trim()]));
  return asked.moved ? { ...asked, set: setting.asOptions() } : asked;
};

/** @param {any} row */
const tableRow = (row) => {
  const url = make("td", "url", "", link(row.url || row.id, `#page?row=${row.row}`));
  if (row.passage) url.append(make("p", "passage", "", crawled(row.passage)));
  const ended = make("td", "", "", crawled(row.ended || ""));
  if (row.detail) ended.append(make("span", "limit", "", " ", crawled(row.detail)));
  return make("tr", "", "", make("td", "n", count(row.row)), url, make("td", `word ${row.outcome}`, row.outcome), ended,
    make("td", "n", row.value === null ? "" : value(row.value)), make("td", "", row.language || ""), make("td", "n", row.text_bytes === null ? "" : size(row.text_bytes)));
};

const load = () => search(async () => {
  const asked = question();
  const found = await ask("pages", { ...asked, start });
  if (found.indexing) {
    const { phase, done, units } = found.indexing;
    $("found").textContent = `The texts are being indexed for words${units ? `: ${phase} ${done} of ${units}` : ""}. The result comes by itself.`;
    setTimeout(() => !$("pages").hidden && load(), 1000);
    return;
  }
  next = found.next;
  $("table").tBodies[0].replaceChildren(...found.rows.map(tableRow));
  $("earlier").disabled = !earlier.length;
  $("later").disabled = next === null;
  $("found").textContent = found.rows.length ? "" : "No page.";
  $("table").setAttribute("data-asked", JSON.stringify([asked, start]));
  if (!found.rows.length && !start) return;
  const all = await ask("count", asked);
  $("found").textContent = `${all.more ? "At least " : ""}${count(all.count)} pages.`;
});

/** Shows the pages that the address asks for. @param {URLSearchParams} parameters */
export const show = (parameters) => {
  for (const name of FIELDS) field(name).value = parameters.get(name) || "";
  [start, earlier] = [Number(parameters.get("start") || 0), []];
  load();
};

/** @param {any} run */
export const begin = (run) => {
  const measures = run.stages.flatMap((/** @type {any} */ stage) => stage.measures);
  const options = (/** @type {string[]} */ names) => names.map((name) => {
    const made = make("option");
    made.value = name;
    return made;
  });
  $("measures").append(...options(measures.filter((/** @type {any} */ one) => one.kind !== "str").map((/** @type {any} */ one) => one.column)));
  $("rules").append(...options([...run.stages.map((/** @type {any} */ stage) => stage.name), ...measures.map((/** @type {any} */ one) => one.column)]));
  form().addEventListener("submit", (event) => {
    event.preventDefault();
    const asked = new URLSearchParams();
    for (const name of FIELDS) if (field(name).value.trim()) asked.set(name, field(name).value.trim());
    const hash = `#pages?${asked}`;
    if (location.hash === hash) show(asked);
    else location.hash = hash;
  });
  $("later").addEventListener("click", () => {
    if (next === null) return;
    earlier.push(start);
    start = next;
    load();
  });
  $("earlier").addEventListener("click", () => {
    start = earlier.pop() || 0;
    load();
  });
  $("jump").addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    earlier.push(start);
    start = Number($("jump").querySelector("input").value);
    load();
  });
};
