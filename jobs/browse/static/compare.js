// @ts-check
// The view of two runs: the pages that moved, by rule, and a page in both.
import { $, ask, button, count, crawled, make, newest } from "./dom.js";
import { pieces } from "./page.js";

const load = newest();
const loadBoth = newest();
/** @type {any} */
let found = null;

/** @param {[string, string]} ids */
const showBoth = ([one, other]) => loadBoth(async () => {
  const both = await ask("both", { one, other });
  const columns = both.sides.map((/** @type {any} */ side, /** @type {number} */ at) => {
    const row = side.row;
    const where = row ? `${row.outcome} ${[row.stage, row.rule].filter(Boolean).join(".")}` : "not in this run";
    const made = make("article", "", "", make("h4", "", found.names[at]), make("p", "standing", where));
    made.append(side.why ? make("p", "what", side.why) : pieces(both.texts[at]));
    return made;
  });
  $("both").replaceChildren(make("div", "columns", "", ...columns));
  $("both").setAttribute("data-shown", `${one} ${other}`);
});

/** @param {string} title @param {Array<[string, string]>} ids @param {string[]} urls */
const list = (title, ids, urls) => {
  $("moved-title").textContent = title;
  $("both").replaceChildren();
  $("moved-pages").replaceChildren(...ids.map((pair, at) => {
    const show = button("", () => showBoth(pair));
    show.append(crawled(urls[at]));
    return make("li", "", "", show);
  }));
};

export const show = () => load(async () => {
  if (found) return;
  $("compared").textContent = "Comparing both runs…";
  found = await ask("differences");
  const [kept, now] = found.kept;
  $("compared").textContent = `Kept ${count(kept)} → ${count(now)}. ${count(found.same)} records ended at the same rule in both. ` +
    `Of the pages kept in both, ${count(found.texts.same)} have the same text, ${count(found.texts.other)} another one.`;
  if (found.by === "url") $("compared").textContent += " No record is at the same place in both, so they are paired by their URLs.";
  $("recipe-changes").replaceChildren(...found.recipe.map((/** @type {string} */ line) => make("li", "", "", make("code", "", line))));
  const rows = found.moves.map((/** @type {any} */ move) => {
    const open = button(count(move.documents), () => list(`${move.from} → ${move.to}`, move.ids, move.examples));
    open.setAttribute("aria-label", `${count(move.documents)} pages from ${move.from} to ${move.to}`);
    return make("tr", "", "", make("td", "", move.from), make("td", "", move.to), make("td", "n", "", open));
  });
  if (found.texts.ids.length) {
    const open = button(count(found.texts.other), () => list("Kept in both, with other texts", found.texts.ids, found.texts.examples));
    rows.push(make("tr", "", "", make("td", "", "kept"), make("td", "", "kept, another text"), make("td", "n", "", open)));
  }
  $("moves").tBodies[0].replaceChildren(...rows);
});
