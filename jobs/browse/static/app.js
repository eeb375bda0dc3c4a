// @ts-check
// The views, and which of them is shown.
import { $, ask, count, fail } from "./dom.js";
import * as compare from "./compare.js";
import * as judge from "./judge.js";
import * as limits from "./limits.js";
import * as page from "./page.js";
import * as pages from "./pages.js";
import { watch } from "./underway.js";

/** @type {Record<string, {show: (parameters: URLSearchParams) => void}>} */
const VIEWS = { limits, pages, page, compare, judge };

const show = () => {
  const [name, query = ""] = location.hash.slice(1).split("?");
  const chosen = name in VIEWS ? name : "limits";
  for (const section of document.querySelectorAll("main > section")) /** @type {HTMLElement} */ (section).hidden = section.id !== chosen;
  for (const one of document.querySelectorAll("nav a")) {
    if (/** @type {HTMLAnchorElement} */ (one).hash === `#${chosen}`) one.setAttribute("aria-current", "page");
    else one.removeAttribute("aria-current");
  }
  VIEWS[chosen].show(new URLSearchParams(query));
};

/** Says how much of the ledger is copied, until it is. @param {any} copy */
const showCopy = (copy) => {
  $("copying").hidden = !copy.missing && !copy.slow;
  $("copying").textContent = copy.slow || `Preparing quick answers: ${count(copy.groups - copy.missing)} of ${count(copy.groups)} parts.`;
  if (copy.missing && !copy.slow) setTimeout(() => ask("run").then((run) => showCopy(run.copy)).catch(fail), 1000);
};

const begin = async () => {
  const state = await ask("state");
  $("underway").hidden = state.ended;
  for (const one of document.querySelectorAll("nav li")) /** @type {HTMLElement} */ (one).hidden = !state.ended;
  if (!state.ended) {
    $("limits").hidden = true;
    watch(state, () => location.reload());
    return;
  }
  const run = await ask("run");
  document.title = `${run.name} – corpus serve`;
  $("name").textContent = run.name;
  $("about").textContent = `${count(run.records.in)} records, ${count(run.records.kept)} kept, recipe ${run.recipe}${run.other ? `; beside it ${run.other}` : ""}`;
  document.querySelectorAll("nav .two").forEach((one) => one.toggleAttribute("hidden", !run.other));
  showCopy(run.copy);
  limits.start(run);
  pages.begin(run);
  page.begin();
  judge.begin(run);
  addEventListener("hashchange", show);
  show();
};
begin().catch(fail);
