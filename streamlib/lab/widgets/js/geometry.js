// Where things are on a tape: pan, zoom, follow, bins, ghosts, what is under the pointer. Pure.

import { CHUNK, UNKNOWN } from "./items.js";
import { clamp } from "./words.js";

/**
 * @typedef {{left: number, scale: number, follow?: boolean, auto?: boolean}} Place
 *   the offset at the left edge, pixels per offset; `auto`: everything, as long as letters can be read
 * @typedef {{base: number, end: number, tail: number, width: number}} Space
 *   `tail` cells after the end are not durable yet
 * @typedef {import("./items.js").Items} Items
 * @typedef {{id: number, seq?: number, topic: number}} Tail
 * @typedef {{key: string, id: number, seq: number, first: number, items: number, copies: number, born: number}} Ghost
 * @typedef {{ghost: Ghost, x: number, width: number, lane: number, also: number}} PlacedGhost
 * @typedef {ReturnType<typeof rowsOf>} Rows
 * @typedef {{kind: "none" | "gone" | "edge"} | {kind: "item", offset: number} | ({kind: "tail"} & Tail)
 *   | ({kind: "batch"} & import("./items.js").Batch) | ({kind: "ghost"} & Ghost)} Hit
 */

/** Pixels for what is truncated, left of the base. */
export const STUB = 92;
export const SCALE = 30;
const MOST_SCALE = 46, MARGIN = 12;
/** @param {number} base */
const before = (base) => (base > 0 ? STUB : MARGIN);

/** How far one can pan: from a stub of what is gone to the open edge. @param {number} scale @param {Space} space */
function limits(scale, { base, end, tail, width }) {
	const low = base - before(base) / scale;
	return [low, Math.max(low, end + tail + 1 + (MARGIN - width) / scale)];
}

/** The scale at which everything fits. @param {Space} space */
export const fitScale = ({ base, end, tail, width }) => Math.max(1,
	width - MARGIN - before(base)) / (end + tail + 1 - base);

/** The nearest place that shows something. @param {Place} place @param {Space} space */
export function settle(place, space) {
	const fit = fitScale(space);
	const scale = place.auto ? clamp(fit, 22, 34) : clamp(place.scale, Math.min(SCALE, fit), MOST_SCALE);
	const [low, high] = limits(scale, space);
	return { ...place, scale, left: place.follow ? high : clamp(place.left, low, high) };
}

/** Pan to `left`. Whoever goes to the very end follows it. @param {Place} place @param {Space} space @param {number} left */
export const pan = (place, space, left) =>
	settle({ ...place, left, follow: left >= limits(place.scale, space)[1] - 0.5 / place.scale }, space);

/** Zoom by `factor`; what is under `x` stays there. @param {Place} place @param {Space} space @param {number} factor @param {number} x */
export function zoom(place, space, factor, x) {
	const next = settle({ ...place, auto: false, scale: place.scale * factor }, space);
	return settle({ ...next, left: place.left + x / place.scale - x / next.scale }, space);
}

/** @param {number} x @param {Place} place */
export const offsetAt = (x, place) => Math.floor(place.left + x / place.scale);
/** @param {number} offset @param {Place} place */
export const xOf = (offset, place) => (offset - place.left) * place.scale;

/** A ruler's step, 1, 2, 5, 10, ...: labels of this width stay apart. @param {number} scale @param {number} label */
export function rulerStep(scale, label) {
	for (let ten = 1; ; ten *= 10) for (const n of [1, 2, 5]) if (n * ten * scale >= label) return n * ten;
}

/** Topics told apart in a column of pixels; the last kind: not fetched. */
export const KINDS = 16;

/** How many items of each kind are in each column of pixels: out[column * KINDS + kind]. @param {Items} items @param {Place} place @param {number} width @param {Uint16Array} out */
export function bin(items, place, width, out = new Uint16Array(width * KINDS)) {
	out.fill(0);
	for (let column = 0; column < width; column++) {
		const to = Math.min(items.end, offsetAt(column + 1, place));
		let number = -1, chunk, offset = Math.max(items.base, offsetAt(column, place));
		// A sample is enough.
		for (const step = Math.max(1, (to - offset) >> 8); offset < to; offset += step) {
			const of = Math.floor(offset / CHUNK);
			if (of !== number) chunk = items.chunks.get((number = of));
			const topic = chunk ? chunk.topic[offset - of * CHUNK] : UNKNOWN;
			out[column * KINDS + (topic === UNKNOWN ? KINDS - 1 : Math.min(topic, KINDS - 2))]++;
		}
	}
	return out;
}

/** What comes after the end: waiting batches' items, then what this kernel has not sent yet. @param {[number, number, number[]][]} waiting @param {number} unsent @returns {Tail[]} */
export function tail(waiting, unsent) {
	const seen = new Set();
	const cells = waiting.flatMap(([id, seq, topics]) => {
		const key = `${id}:${seq}`, again = id >= 0 && seen.has(key);
		seen.add(key);
		// What was sent twice will be one item.
		return again ? [] : topics.map((topic) => ({ id, seq, topic }));
	});
	return [...cells.slice(0, 200), ...Array(Math.min(unsent, 12)).fill({ id: -1, topic: -1 })];
}

/** A tape's rows, from the top, in pixels. `names`: rows of readers' names. @param {boolean} seams @param {number} names */
export function rowsOf(seams, names) {
	const top = (seams ? 16 : 0) + 12 * Math.max(0, names - 1);
	return {
		seam: 7, ruler: (seams ? 16 : 0) + 11, reader: top + 20, cell: top + 38, tall: 34, batch: top + 76,
		ghost: top + 97, lane: 20, height: top + 138,
	};
}

/**
 * Where ghosts go, below the copies that won. Where both lanes are taken, a ghost is counted in its
 * neighbour's `also`.
 * @param {Iterable<Ghost>} ghosts @param {Place} place @param {number} width
 */
export function placeGhosts(ghosts, place, width) {
	const least = place.scale < 6 ? 11 : 44, free = [-Infinity, -Infinity];
	/** @type {PlacedGhost[]} */
	const placed = [];
	for (const ghost of [...ghosts].sort((a, b) => a.first - b.first)) {
		const x = xOf(ghost.first, place), wide = Math.max(least, ghost.items * place.scale - 4);
		if (x + wide < 0 || x > width) continue;
		const lane = free.findIndex((end) => end <= x);
		if (lane < 0) placed[placed.length - 1].also += ghost.copies;
		else {
			placed.push({ ghost, x, width: wide, lane, also: 0 });
			free[lane] = x + wide + 2;
		}
	}
	return placed;
}

/**
 * What is at a pixel. `edge`: the offset at which one can take hold of what is to be truncated.
 * @param {number} x @param {number} y
 * @param {{rows: Rows, place: Place, items: Items, placed: PlacedGhost[], tails: Tail[], edge: number | null}} scene
 * @returns {Hit}
 */
export function hit(x, y, { rows, place, items, placed, tails, edge }) {
	const offset = offsetAt(x, place), past = offset - items.end;
	/** @type {Hit} */
	const none = { kind: "none" };
	if (edge !== null && Math.abs(x - xOf(edge, place)) < 6 && y >= rows.cell - 8 && y < rows.batch) return { kind: "edge" };
	if (y >= rows.ghost) {
		const lane = Math.floor((y - rows.ghost) / rows.lane);
		const found = placed.find((each) => lane === each.lane && x >= each.x && x <= each.x + each.width);
		return found ? { kind: "ghost", ...found.ghost } : none;
	}
	if (offset < items.base) return offset < 0 ? none : { kind: "gone" };
	if (past >= 0) return tails[past] ? { kind: "tail", ...tails[past] } : none;
	const batch = y >= rows.batch - 3 && items.batch(offset);
	return batch ? { kind: "batch", ...batch } : { kind: "item", offset };
}
