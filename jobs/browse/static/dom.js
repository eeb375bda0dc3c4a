// @ts-check
// Parts that all views use. Everything that a page or the server says is put into the document as text.

const HIDDEN = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\u{e0000}-\u{e0fff}]/gu;

/** Shows invisible characters, which could change the order of a text, as codes. @param {unknown} text */
export const shown = (text) =>
  String(text).replace(HIDDEN, (one) => `⟨U+${(one.codePointAt(0) || 0).toString(16).toUpperCase().padStart(4, "0")}⟩`);

/** @param {string} id @returns {any} */
export const $ = (id) => document.getElementById(id);

/** Makes an element with a class, a text and children.
 * @param {string} tag @param {string} [kind] @param {unknown} [text] @param {...(Node | string)} children @returns {any} */
export const make = (tag, kind = "", text = "", ...children) => {
  const made = document.createElement(tag);
  if (kind) made.className = kind;
  if (text !== "") made.textContent = shown(text);
  made.append(...children.map((child) => (typeof child === "string" ? shown(child) : child)));
  return made;
};

/** Makes a text of a page, in its own direction. @param {unknown} text @param {string} [kind] */
export const crawled = (text, kind = "") => make("bdi", kind, text);

/** @param {string} label @param {string} hash @param {string} [kind] */
export const link = (label, hash, kind = "") => {
  const made = make("a", kind, "", crawled(label));
  made.href = hash;
  return made;
};

/** @param {string} label @param {() => void} act */
export const button = (label, act) => {
  const made = make("button", "", label);
  made.type = "button";
  made.addEventListener("click", act);
  return made;
};

/** @param {string} tag @param {Record<string, string | number>} attributes @param {string} [text] @returns {SVGElement} */
export const svg = (tag, attributes, text = "") => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  if (text) made.textContent = shown(text);
  return made;
};

/** @param {number | null | undefined} number */
export const count = (number) => (number === null || number === undefined ? "–" : number.toLocaleString("en"));

/** @param {number} bytes */
export const size = (bytes) => {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let at = 0;
  while (bytes >= 999.5 && at < units.length - 1) [bytes, at] = [bytes / 1000, at + 1];
  return `${at && bytes < 100 ? bytes.toPrecision(3) : Math.round(bytes)} ${units[at]}`;
};

/** Writes a measured value or a bound. @param {any} value */
export const value = (value) => {
  if (value === null || value === undefined) return "–";
  if (Array.isArray(value)) return value.join(", ") || "none";
  return typeof value === "number" ? (Number.isInteger(value) ? count(value) : String(Number(value.toPrecision(6)))) : String(value);
};

/** @param {Record<string, any>} bounds */
export const limit = (bounds) =>
  Object.entries(bounds).map(([name, bound]) => `${name.replace("_", " ")} ${value(bound)}`).join(", ");

/** @param {Error | null} error */
export const fail = (error) => {
  $("error").hidden = !error;
  $("error").textContent = error ? shown(error.message) : "";
};

/** @param {Response} answer */
const read = async (answer) => {
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.error);
  return said;
};

/** Asks the server. A parameter may be a list. @param {string} path @param {Record<string, any>} [parameters] */
export const ask = async (path, parameters = {}) => {
  const query = new URLSearchParams();
  for (const [name, given] of Object.entries(parameters)) {
    for (const one of Array.isArray(given) ? given : [given]) if (one !== "" && one !== null) query.append(name, String(one));
  }
  return read(await fetch(`${path}?${query}`));
};

/** Tells the server to do something. @param {string} path @param {any} body */
export const tell = async (path, body) =>
  read(await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }));

/** Returns a function that does the newest of the works that it is given, one at a time, and shows errors.
 * @returns {(work: () => Promise<void>) => Promise<void>} */
export const newest = () => {
  /** @type {(() => Promise<void>) | null} */
  let next = null;
  let busy = false;
  return async (work) => {
    next = work;
    if (busy) return;
    busy = true;
    while (next) {
      const now = next;
      next = null;
      try {
        await now();
        if (!next) fail(null);
      } catch (error) {
        fail(/** @type {Error} */ (error));
      }
    }
    busy = false;
  };
};
