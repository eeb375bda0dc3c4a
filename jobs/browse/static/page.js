// @ts-check
// The view of one page: its text, its cuts, the original page in a frame, its duplicates, and its measures.
import { $, ask, count, crawled, limit, link, make, newest, value } from "./dom.js";

const loadPage = newest();
const loadPanel = newest();
const loadPair = newest();
/** @type {any} */
let page = null;
let tab = "text";

/** Shows pieces of a text: [text, kind, stage]. @param {Array<[string, string, string]>} pieces @param {string[]} [personal] */
export const pieces = (pieces, personal = []) => make("div", "text", "", ...pieces.map(([text, kind, by]) => {
  const name = personal.includes(by) ? "personal" : "";
  const made = kind === "cut" ? make("del", name) : kind === "added" ? make("ins", name) : kind === "shared" ? make("mark") : make("span");
  made.append(crawled(text));
  if (by) made.title = `${kind} by ${by}`;
  return made;
}));

/** @type {Record<string, () => Promise<Array<Node | string>>>} */
const PANELS = {
  text: async () => {
    const found = page.text === null ? await ask("text", { row: page.row }) : { text: page.text, kept: true };
    const from = found.kept ? [] : [make("p", "what", "The page is not kept. This is its text if no limit drops it, read again from the archive.")];
    return [...from, make("div", "text", "", crawled(found.text.slice(0, 400000)))];
  },
  steps: async () => {
    const found = await ask("steps", { row: page.row });
    const stages = [...new Set(found.pieces.map((/** @type {string[]} */ one) => one[2]).filter(Boolean))];
    const said = stages.length ? `Changed by ${stages.join(", ")}. What was cut is struck out, personal data is marked.` : "No stage changed the text.";
    return [make("p", "what", said), pieces(found.pieces, found.personal)];
  },
  original: async () => {
    const frame = make("iframe");
    frame.setAttribute("sandbox", "");
    frame.title = "The page as it was crawled";
    frame.referrerPolicy = "no-referrer";
    frame.src = `original?row=${page.row}`;
    return [make("p", "what", "Without scripts, pictures and links. Blocks that are in the text have a green frame."), frame];
  },
  source: async () => {
    const found = await ask("source", { row: page.row });
    if (!found.source) return [make("p", "what", "There is no HTML here.")];
    const more = found.chars > found.source.length ? [make("p", "what", `The first ${count(found.source.length)} of ${count(found.chars)} characters.`)] : [];
    return [...more, make("pre", "", "", crawled(found.source))];
  },
  copies: async () => {
    if (!page.keeper) return [make("p", "what", "No duplicates are known.")];
    const found = await ask("pages", { cluster: page.keeper, most: 100 });
    const both = make("div");
    const list = make("ul", "plain");
    for (const row of found.rows) {
      const mine = row.row === page.row;
      const made = make("li", "", "", link(row.url || row.id, `#page?row=${row.row}`), ` ${row.id === page.keeper ? "keeper" : row.outcome}${mine ? ", this page" : ""} `);
      if (!mine) {
        const compare = make("button", "", "What they share");
        compare.type = "button";
        compare.addEventListener("click", () => loadPair(async () => {
          const pair = await ask("pair", { one: page.row, other: row.row });
          both.replaceChildren(make("div", "columns", "", make("article", "", "", make("h4", "", "This page"), pieces(pair.one)), make("article", "", "", make("h4", "", "The other"), pieces(pair.other))));
        }));
        made.append(compare);
      }
      list.append(made);
    }
    return [make("p", "what", `The cluster of ${page.keeper}`), list, both];
  },
};

const drawPanel = () => loadPanel(async () => {
  const wanted = `${page.row} ${tab}`;
  $("panel").replaceChildren(make("p", "what", "Reading…"));
  try {
    $("panel").replaceChildren(...await PANELS[tab]());
  } catch (error) {
    $("panel").replaceChildren(make("p", "what", /** @type {Error} */ (error).message));
  }
  $("panel").setAttribute("data-shown", wanted);
});

/** @param {HTMLElement} chosen */
const choose = (chosen) => {
  for (const one of $("page").querySelectorAll("[role=tab]")) {
    one.setAttribute("aria-selected", String(one === chosen));
    one.tabIndex = one === chosen ? 0 : -1;
  }
  tab = chosen.id.slice(4);
  $("panel").setAttribute("aria-labelledby", chosen.id);
  drawPanel();
};

const drawMeasures = () => {
  /** @type {Node[]} */
  const rows = [];
  for (const stage of page.stages) {
    for (const one of stage.measures) {
      if (one.value === null && !Object.keys(one.limit).length) continue;
      const made = make("tr", one.ended_here ? "ended" : "", "", make("th", "", stage.stage), make("td", "", one.measure),
        make("td", "n", "", crawled(value(one.value))), make("td", "limit", limit(one.limit)));
      if (one.ended_here) made.lastElementChild.append(make("strong", "lost", " ended here"));
      rows.push(made);
    }
  }
  $("measured").tBodies[0].replaceChildren(...rows);
};

/** @param {URLSearchParams} parameters */
export const show = (parameters) => loadPage(async () => {
  page = await ask("page", Object.fromEntries(parameters));
  const where = [page.stage, page.rule].filter(Boolean).join(".");
  const facts = make("dl", "facts");
  for (const [name, fact] of /** @type {Array<[string, any]>} */ ([["id", page.id], ["outcome", `${page.outcome}${where ? ` at ${where}` : ""}${page.detail ? ` (${page.detail})` : ""}`], ["date", page.date], ["licence", page.license], ["row", count(page.row)]])) {
    if (fact) facts.append(make("dt", "", name), make("dd", "", "", crawled(fact)));
  }
  $("page-head").replaceChildren(make("p", "url", "", crawled(page.url || page.id)), facts);
  $("page-head").setAttribute("data-row", String(page.row));
  drawMeasures();
  choose($(`tab-${tab}`));
});

export const begin = () => {
  const tabs = [...$("page").querySelectorAll("[role=tab]")];
  for (const one of tabs) {
    one.addEventListener("click", () => choose(one));
    one.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      const step = /** @type {Record<string, number>} */ ({ ArrowRight: 1, ArrowLeft: -1 })[event.key];
      if (!step) return;
      const next = tabs[(tabs.indexOf(one) + step + tabs.length) % tabs.length];
      next.focus();
      choose(next);
    });
  }
};
