// @ts-check
// The view of limits: a card for each measure, and the run under the present setting.
import { $, ask, button, count, crawled, fail, limit, link, make, newest, size, tell, value } from "./dom.js";
import { drawHistogram } from "./histogram.js";
import * as setting from "./setting.js";

/** @typedef {{column: string, name: string, kind: string, meaning: string, bounds: Record<string, any>, own: Record<string, Record<string, any>>, dropped: number}} Measure */

const BOUNDS = ["min", "max", "above", "below"];
const decideNewest = newest();
const copyNewest = newest();
/** @type {any} */
let run = null;
/** @type {Array<() => void>} */
let redraws = [];
let language = "";
/** @type {IntersectionObserver} */
let seen;

/** Returns the path of a bound in a setting. @param {Measure} measure @param {string} bound */
const pathOf = (measure, bound) => {
  const stage = measure.column.slice(0, -measure.name.length - 1);
  return `${language ? `${stage}.${language}` : stage}.${measure.name}.${bound}`;
};
/** Returns the bounds in the run. @param {Measure} measure */
const boundsOf = (measure) => (language && measure.own[language]) || measure.bounds;
/** Returns a bound as it is now, or null. @param {Measure} measure @param {string} bound */
const boundNow = (measure, bound) => {
  const given = setting.given(pathOf(measure, bound));
  if (given === "off") return null;
  return given === undefined ? boundsOf(measure)[bound] ?? null : given;
};
/** @param {Measure} measure @param {string} bound @param {any} to @param {string} [by] */
const setBound = (measure, bound, to, by = "") => {
  const was = boundsOf(measure)[bound];
  const same = to === was || (to === null && was === undefined) || JSON.stringify(to) === JSON.stringify(was);
  setting.change(pathOf(measure, bound), same ? undefined : to === null ? "off" : to, by);
};

/** @param {Measure} measure @param {string} bound @param {(made: HTMLElement) => void} redo */
const boundInput = (measure, bound, redo) => {
  const input = make("input");
  input.type = "number";
  input.step = measure.kind === "int" ? "1" : "any";
  input.addEventListener("change", () => setBound(measure, bound, input.value === "" ? null : Number(input.value)));
  const off = button("off", () => setBound(measure, bound, null));
  off.setAttribute("aria-label", `${measure.column} ${bound} off`);
  const made = make("label", "bound", "", `${bound} `, input);
  input.setAttribute("aria-label", `${measure.column} ${bound}`);
  redraws.push(() => {
    const now = boundNow(measure, bound);
    if (document.activeElement !== input) input.value = now === null ? "" : String(now); // nobody is typing there
    off.disabled = now === null;
  });
  redo(make("span", "", "", made, off));
};

/** @param {Measure} measure */
const categoryInput = (measure) => {
  const input = make("input");
  input.type = "text";
  input.setAttribute("aria-label", `${measure.column}: accepted categories, with commas between them`);
  input.placeholder = "no limit";
  input.addEventListener("change", () => {
    const names = input.value.split(",").map((/** @type {string} */ name) => name.trim()).filter(Boolean);
    setBound(measure, "one_of", names.length ? names : null);
  });
  redraws.push(() => {
    const now = boundNow(measure, "one_of");
    if (document.activeElement !== input) input.value = now ? now.join(", ") : "";
  });
  return make("label", "bound", "", "one of ", input);
};

/** @param {HTMLElement} into @param {any} found */
const showCategories = (into, found) => {
  const rows = found.categories.map((/** @type {[string, number, number]} */ [name, kept, dropped]) =>
    make("tr", "", "", make("th", "", "", crawled(name)), make("td", "n", count(kept)), make("td", "n", count(dropped))));
  const head = make("tr", "", "", make("th", "", "category"), make("th", "n", "kept"), make("th", "n", "dropped"));
  into.replaceChildren(make("table", "", "", make("thead", "", "", head), make("tbody", "", "", ...rows)));
  if (found.distinct > rows.length) into.append(make("p", "note", `and ${count(found.distinct - rows.length)} more`));
};

/** @param {Measure} measure @param {HTMLElement} picture */
const loadPicture = async (measure, picture) => {
  const found = await ask("distribution", { column: measure.column });
  if (found.categories) return showCategories(picture, found);
  if (!found.edges) {
    const always = found.always === null ? "never measured" : `always ${value(found.always)}`;
    return picture.replaceChildren(make("p", "note", always));
  }
  const bounds = BOUNDS.filter((bound) => boundsOf(measure)[bound] !== undefined || boundNow(measure, bound) !== null);
  const handles = bounds.map((bound) => ({
    bound,
    label: `${measure.column} ${bound}`,
    was: boundsOf(measure)[bound] ?? null,
    get: () => boundNow(measure, bound),
    set: (/** @type {number} */ to) => setBound(measure, bound, to, pathOf(measure, bound)),
    settle: setting.settle,
  }));
  const label = `${measure.column}: values of ${count(found.measured)} pages`;
  redraws.push(drawHistogram(picture, found, handles, label));
};

/** @param {Measure} measure */
const card = (measure) => {
  const moved = make("p");
  const picture = make("div", "picture-of-measure");
  const bounds = make("div", "row bounds");
  const made = make("figure", "card measure", "", make("figcaption", "", "", make("h4", "", measure.name), moved));
  if (measure.meaning) made.append(make("p", "meaning", measure.meaning));
  made.append(picture, bounds);
  made.id = `m-${measure.column}`;
  redraws.push(() => {
    const rule = now && now.rules.find((/** @type {any} */ one) => one.rule === measure.column);
    moved.textContent = rule ? `drops ${count(rule.dropped_before)} → ${count(rule.dropped_now)}` : measure.dropped ? `drops ${count(measure.dropped)}` : "";
    made.classList.toggle("changed", Boolean(rule));
  });
  if (measure.kind === "str") bounds.append(categoryInput(measure));
  else {
    const there = BOUNDS.filter((bound) => boundNow(measure, bound) !== null || boundsOf(measure)[bound] !== undefined);
    for (const bound of there) boundInput(measure, bound, (input) => bounds.append(input));
    const others = make("select");
    others.setAttribute("aria-label", `Another limit for ${measure.column}`);
    others.append(make("option", "", "another limit"), ...BOUNDS.filter((bound) => !there.includes(bound)).map((bound) => make("option", "", bound)));
    others.addEventListener("change", () => {
      const bound = others.value;
      boundInput(measure, bound, (input) => bounds.insertBefore(input, others));
      others.selectedOptions[0].remove();
      others.selectedIndex = 0;
    });
    bounds.append(others);
  }
  seen.observe(made);
  loads.set(made, () => loadPicture(measure, picture).catch(fail));
  return made;
};
/** @type {WeakMap<Element, () => void>} */
const loads = new WeakMap();

const drawStages = () => {
  if (seen) seen.disconnect();
  seen = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      seen.unobserve(target);
      (loads.get(target) || (() => {}))();
    }
  }, { rootMargin: "300px" });
  redraws = [];
  const words = $("wanted-rules").value.toLowerCase().split(/[\s,]+/).filter(Boolean);
  const wanted = (/** @type {Measure} */ measure) => {
    const limited = Object.keys(boundsOf(measure)).length || setting.pairs().some(([path]) => path.startsWith(`${measure.column}.`));
    return (limited || !$("only-limits").checked) && words.every((/** @type {string} */ word) => measure.column.includes(word));
  };
  $("stages").replaceChildren(...run.stages.map((/** @type {any} */ stage) => {
    const cards = stage.measures.filter(wanted).map(card);
    if (!cards.length) return "";
    const about = run.compared.includes(stage.name) ? "A comparison: another limit gives bounds." : `drops ${count(stage.dropped)}`;
    const name = make("div", "stage-name", "", make("h3", "", stage.name), make("p", "", about));
    return make("div", "stage-measures", "", name, make("div", "cards", "", ...cards));
  }));
  redraw();
};
const redraw = () => redraws.forEach((one) => one());

/** @type {any} */
let now = null;

/** @param {any[]} rows @param {string} kind */
const examples = (rows, kind) => {
  const found = rows.filter((row) => row.kind === kind);
  return found.map((row) => {
    const summary = make("summary", "", "", crawled(row.url || row.id), make("span", "limit", ` ${row.rule} ${row.value}`));
    const made = make("details", "", "", summary);
    made.addEventListener("toggle", async () => {
      if (!made.open || made.children.length > 1) return;
      const text = make("div", "text", "Reading…");
      made.append(text, link("The page", `#page?id=${encodeURIComponent(row.id)}`));
      try {
        text.replaceChildren(crawled((await ask("text", { id: row.id })).text));
      } catch (error) {
        text.textContent = /** @type {Error} */ (error).message;
      }
    });
    return make("li", "", "", made);
  });
};

/** @param {any[]} rows */
const drawFunnel = (rows) => {
  const all = run.records.in || 1;
  $("funnel").tBodies[0].replaceChildren(...rows.map((/** @type {any} */ row) => {
    const bar = make("span", "left-bar");
    bar.style.width = `${(100 * row.left_now) / all}%`;
    const made = make("tr", row.before === row.now ? "" : "changed", "", make("th", "", "", row.outcome === "dropped" ? link(row.name, `#pages?rule=${row.name}`) : row.name),
      make("td", "n", count(row.before)), make("td", "n", count(row.now)), make("td", "n", count(row.left_now)), make("td", "picture", "", bar));
    made.firstElementChild.scope = "row";
    return made;
  }));
};

const showDecision = () => {
  const { before, least, most } = now.kept;
  const range = now.exact ? count(least) : `${count(least)} to ${count(most)}`;
  const text = `${size(now.text.before)} → ${size(now.text.now)} of text${now.exact ? "" : " that passes every rule"}`;
  $("kept").textContent = `Kept ${count(before)} → ${range}. ${text}.`;
  $("short").textContent = `${count(before)} → ${range}`;
  const open = now.passing.most - now.passing.certain;
  $("unknown").textContent = [
    now.exact ? "This is exact." : "These are bounds; writing the run gives the exact number.",
    open ? `${count(open)} pages are open: they ended at a changed rule, and their later measures are unknown.` : "",
    now.repeats ? `How many are duplicates is unknown (${now.repeats}).` : "",
    now.contradiction ? `This setting can't be built: ${now.contradiction}` : "",
  ].filter(Boolean).join(" ");
  $("changes").replaceChildren(...now.changes.map((/** @type {string} */ line) => make("li", "", "", make("code", "", line))));
  drawFunnel(now.funnel);
  $("languages").tBodies[0].replaceChildren(...now.languages.slice(0, 30).map((/** @type {any} */ row) =>
    make("tr", row.before === row.now ? "" : "changed", "", make("th", "", row.language || "none"), make("td", "n", count(row.before)), make("td", "n", count(row.now)), make("td", "n", size(row.bytes_now)))));
  $("languages").hidden = !now.languages.length;
  const rules = now.rules;
  const sum = (/** @type {string} */ name) => rules.reduce((/** @type {number} */ all, /** @type {any} */ row) => all + row[name], 0);
  const lost = now.moves.filter((/** @type {any} */ row) => row.from === "kept").reduce((/** @type {number} */ all, /** @type {any} */ row) => all + row.documents, 0);
  $("come").replaceChildren(...examples(now.examples, "gained"));
  $("go").replaceChildren(...examples(now.examples, "lost"));
  $("come-said").replaceChildren(sum("gained") ? link(`All ${count(sum("gained"))} pages`, "#pages?moved=come") : "No page.");
  $("go-said").replaceChildren(lost ? link(`All ${count(lost)} pages`, "#pages?moved=go") : "No page.");
  const j = now.judged;
  $("judged").textContent = j && j.judged ? `Of ${count(j.judged)} judged pages, this setting keeps ${count(j.good_kept)} of ${count(j.good)} good and ${count(j.bad_kept)} of ${count(j.bad)} bad ones.` +
    j.rules.map((/** @type {any} */ one) => ` ${one.rule} drops ${count(one.good)} good and ${count(one.bad)} bad ones.`).join("") : "";
  redraw();
};

const decide = () => decideNewest(async () => {
  const options = setting.asOptions();
  now = await ask("decide", { set: options });
  $("limits").setAttribute("data-decided", options.join(" "));
  showDecision();
});

const SAVED = () => `corpus-settings-${run.fingerprint}`;
/** @returns {Record<string, Array<[string, any]>>} */
const saved = () => JSON.parse(localStorage.getItem(SAVED()) || "{}");
const drawSaved = () => {
  $("saved").replaceChildren(make("option", "", "none chosen"), ...Object.keys(saved()).map((name) => make("option", "", name)));
  $("saved").firstElementChild.value = "";
};

/** @param {"command" | "recipe"} what */
const copyAs = (what) => copyNewest(async () => {
  const found = await ask("recipe", { set: setting.asOptions(), name: $("setting-name").value || "out-2" });
  $("copied-text").textContent = found[what];
  $("copied-text").hidden = false;
  try {
    await navigator.clipboard.writeText(found[what]);
    $("copied").textContent = `The ${what} is in the clipboard:`;
  } catch {
    $("copied").textContent = `The ${what}:`;
  }
});

/** @param {any} state */
const showWriting = (state) => {
  $("writing").hidden = !state.out;
  if (!state.out) return;
  const ended = state.code === 0 ? "is written." : `was not written (exit code ${state.code}).`;
  const phase = state.units ? `${state.phase} ${state.done}/${state.units}` : "planning";
  $("writing-said").textContent = state.code === null ? `${state.out}: ${phase}` : `${state.out} ${ended}`;
  $("writing-bar").max = state.units || 1;
  $("writing-bar").value = state.code === 0 ? state.units || 1 : state.done;
  $("writing-lines").textContent = state.lines.join("\n");
  if (state.code === null) setTimeout(() => ask("writing").then(showWriting).catch(fail), 500);
};

const connect = () => {
  setting.onChange(() => {
    $("undo").disabled = !setting.canUndo();
    $("redo").disabled = !setting.canRedo();
    const changed = setting.pairs().length > 0;
    for (const id of ["reset", "save", "write"]) $(id).disabled = !changed;
    redraw();
    decide();
  });
  $("undo").addEventListener("click", setting.undo);
  $("redo").addEventListener("click", setting.redo);
  $("reset").addEventListener("click", () => setting.replace([]));
  $("save").addEventListener("click", () => {
    const name = $("setting-name").value || "out-2";
    localStorage.setItem(SAVED(), JSON.stringify({ ...saved(), [name]: setting.pairs() }));
    drawSaved();
    $("saved").value = name;
  });
  $("saved").addEventListener("change", () => {
    const name = $("saved").value;
    if (!name) return;
    $("setting-name").value = name;
    setting.replace(saved()[name] || []);
    drawStages();
  });
  $("copy-command").addEventListener("click", () => copyAs("command"));
  $("copy-recipe").addEventListener("click", () => copyAs("recipe"));
  $("write").addEventListener("click", () => tell("write", { set: setting.asOptions(), out: $("setting-name").value || "out-2" }).then(showWriting).catch(fail));
  for (const id of ["wanted-rules", "only-limits"]) $(id).addEventListener("input", drawStages);
  $("limits").querySelector("form").addEventListener("submit", (/** @type {Event} */ event) => event.preventDefault());
  const choose = $("for-language").querySelector("select");
  choose.addEventListener("change", () => {
    language = choose.value;
    drawStages();
  });
  document.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z" || $("limits").hidden) return;
    if (/** @type {HTMLElement} */ (event.target).closest("input")) return;
    event.preventDefault();
    (event.shiftKey ? setting.redo : setting.undo)();
  });
};

/** Shows the view for a run. @param {any} overview */
export const start = (overview) => {
  run = overview;
  const codes = new Set(run.stages.flatMap((/** @type {any} */ stage) => stage.measures.flatMap((/** @type {Measure} */ one) => Object.keys(one.own))));
  $("for-language").hidden = !run.by_language;
  $("for-language").querySelector("select").append(...[...codes].sort().map((code) => make("option", "", code)));
  connect();
  drawSaved();
  drawStages();
  showWriting(run.writing);
  drawFunnel(run.funnel);
  $("kept").textContent = `Kept ${count(run.records.kept)}.`;
  decide();
};

/** Judges again, since labels may have changed. */
export const show = () => decide();
