// @ts-check
// The setting: the limits that differ from those of the run, with undo and redo.

/** @typedef {Map<string, any>} Setting */

/** @type {Setting} */
let now = new Map();
/** @type {Setting[]} */
const before = [];
/** @type {Setting[]} */
const undone = [];
/** @type {string | null} */
let gesture = null;
/** @type {Array<() => void>} */
const listeners = [];

const tellAll = () => listeners.forEach((one) => one());

/** Calls a function after each change. @param {() => void} listener */
export const onChange = (listener) => listeners.push(listener);

/** Returns the new value of a bound, or undefined if it is as in the run. @param {string} path */
export const given = (path) => now.get(path);

/** Sets a bound; undefined means: as in the run. Changes of one gesture, such as a drag, are undone together.
 * @param {string} path @param {any} value @param {string} [by] */
export const change = (path, value, by = "") => {
  if (by === "" || gesture !== by) {
    before.push(new Map(now));
    undone.length = 0;
  }
  gesture = by || null;
  if (value === undefined) now.delete(path);
  else now.set(path, value);
  tellAll();
};

/** Ends a gesture: the next change is undone by itself. */
export const settle = () => {
  gesture = null;
};

/** @param {Setting[]} from @param {Setting[]} to */
const step = (from, to) => {
  const other = from.pop();
  if (!other) return;
  to.push(now);
  [now, gesture] = [other, null];
  tellAll();
};
export const undo = () => step(before, undone);
export const redo = () => step(undone, before);
export const canUndo = () => before.length > 0;
export const canRedo = () => undone.length > 0;

/** Replaces the whole setting. @param {Array<[string, any]>} pairs */
export const replace = (pairs) => {
  before.push(now);
  undone.length = 0;
  [now, gesture] = [new Map(pairs), null];
  tellAll();
};

/** @returns {Array<[string, any]>} */
export const pairs = () => [...now.entries()];

/** Returns the setting as `--set` takes it. */
export const asOptions = () =>
  pairs().map(([path, value]) => `${path}=${Array.isArray(value) ? JSON.stringify(value) : value}`);
