// @ts-check
// The view of judgements: pages in random order, labelled by keys, and how the recipe agrees with the labels.
import { $, ask, count, crawled, fail, link, make, newest, tell } from "./dom.js";

const work = newest();
const choose = newest();
/** The judgements are sent one after another, so that no old answer is shown over a newer one. */
let told = Promise.resolve();
/** @type {number[]} */
let rows = [];
let at = 0;
let near = "";
/** @type {Map<number, Promise<[any, any]>>} */
const read = new Map();

/** Reads a page ahead of time. @param {number} row */
const reading = (row) => {
  if (!read.has(row)) read.set(row, Promise.all([ask("page", { row }), ask("text", { row }).catch((error) => ({ text: "", failed: error.message }))]));
  return /** @type {Promise<[any, any]>} */ (read.get(row));
};

/** @param {number[] | null} share */
const percent = (share) => {
  if (!share) return "–";
  const [middle, low, high] = share.map((one) => (100 * one).toFixed(0));
  return `${middle}% (${low}–${high}%)`;
};

/** @param {any} agreement */
const showAgreement = (agreement) => {
  $("labels-file").textContent = `, in ${agreement.file}`;
  $("agreement").hidden = !agreement.rows.length;
  $("agreement").tBodies[0].replaceChildren(...agreement.rows.map((/** @type {any} */ row) =>
    make("tr", "", "", make("th", "", row.near ? `near ${row.near}` : "all"), ...["judged", "good_kept", "bad_kept", "good_dropped", "bad_dropped"].map((name) => make("td", "n", count(row[name]))),
      make("td", "n", percent(row.precision)), make("td", "n", percent(row.recall)))));
  const judged = agreement.rows.reduce((/** @type {number} */ all, /** @type {any} */ row) => all + row.judged, 0);
  $("agreement-said").textContent = judged
    ? `Precision is the share of good pages among kept ones, recall the share of kept pages among good ones. Figures of pages near a limit hold for such pages only. Train on the labels: corpus classifier train --labelled ${agreement.file} --label label -o MODEL`
    : "";
};

const draw = () => work(async () => {
  const row = rows[at];
  const over = row === undefined;
  $("candidate").hidden = $("verdicts").hidden = over;
  $("drawn").textContent = rows.length ? over ? `All ${count(rows.length)} drawn pages are judged or skipped.` : `Page ${count(at + 1)} of ${count(rows.length)}` : "No page is left to judge here.";
  $("back").disabled = at === 0;
  if (over) return;
  $("candidate").replaceChildren(make("p", "what", "Reading…"));
  const [page, text] = await reading(row);
  $("candidate").replaceChildren(make("p", "url", "", crawled(page.url || page.id)), text.failed ? make("p", "what", text.failed) : make("div", "text", "", crawled(text.text)),
    make("p", "", "", link("Everything about this page", `#page?row=${row}`)));
  $("candidate").setAttribute("data-row", String(row));
  for (const next of rows.slice(at + 1, at + 3)) reading(next).catch(() => {});
});

/** @param {() => Promise<any>} asking */
const said = (asking) => {
  told = told.then(asking).then(showAgreement).catch(fail);
};

/** @param {"good" | "bad"} label */
const judge = (label) => {
  const row = rows[at];
  if (row === undefined) return;
  at += 1;
  draw();
  const body = { row, label, near };
  said(() => tell("label", body));
};
const move = (/** @type {number} */ step) => {
  at = Math.min(Math.max(at + step, 0), rows.length);
  draw();
};

export const show = () => said(() => ask("agreement"));

/** @param {any} run */
export const begin = (run) => {
  const bounds = $("draw").querySelector("select");
  for (const stage of run.stages) {
    for (const measure of stage.measures) {
      for (const bound of Object.keys(measure.bounds)) {
        if (measure.kind === "str") continue;
        const made = make("option", "", `near ${measure.column} ${bound} ${measure.bounds[bound]}`);
        made.value = `${measure.column}.${bound}`;
        bounds.append(made);
      }
    }
  }
  $("draw").addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    const chosen = bounds.value;
    bounds.blur();
    choose(async () => {
      [rows, near, at] = [(await ask("draw", { near: chosen })).rows, chosen, 0];
      draw();
    });
  });
  $("good").addEventListener("click", () => judge("good"));
  $("bad").addEventListener("click", () => judge("bad"));
  $("skip").addEventListener("click", () => move(1));
  $("back").addEventListener("click", () => move(-1));
  document.addEventListener("keydown", (event) => {
    if ($("judge").hidden || event.ctrlKey || event.altKey || event.metaKey) return;
    if (/** @type {HTMLElement} */ (event.target).closest("input, select, textarea")) return;
    const act = /** @type {Record<string, () => void>} */ ({ j: () => judge("good"), k: () => judge("bad"), s: () => move(1), u: () => move(-1) })[event.key];
    if (act) {
      event.preventDefault();
      act();
    }
  });
};
