// What is true of a stream, from a frame and a clock. Pure.

/**
 * @typedef {{key: string, name: string, topics: string[], position: number, lag: number, below: number,
 *   missed: number, state: string, own: boolean, held: number, held_to: number, unread: number | null,
 *   only: number[] | null, pace: number, kept?: boolean}} Reader
 * @typedef {{describes: boolean, workflow_id: string, run_id: string, status: string, base: number, end: number,
 *   bytes: number, refused: number, seams: number[], run: number | null}} Stream
 * @typedef {[number, number, string, number | null, number, string]} Verdict
 *   id, sequence, verdict, first offset, items, reason
 * @typedef {{v: number, epoch: number, rev: number, now: number, at: number, trouble: string, stream: Stream | null,
 *   items: {first: number, topic: number[], size: number[], runs: number[][]},
 *   topics: string[], letters: string[], ids: string[], who: Record<string, string>,
 *   publishers: [number, string, string, number, number, number, number, number][],
 *   all: {publishers: number, dropped: number}, batches: Verdict[], readers: Reader[],
 *   waiting: [number, number, number[]][], waiting_more: number, unsent: number, publishing: number,
 *   cost: any, parts: [string, string, number | null, string, string, string[]][], ui: string,
 *   truncate: {ok: boolean, why: string}, retain?: {ok: boolean, says: string}}} Frame  what the kernel tells; `frame.py` builds it
 * @typedef {import("./geometry.js").Ghost} Ghost
 */

/**
 * Who would miss how much if everything below `upTo` went. What a reader holds already it keeps.
 * `exact`: counted in its own topics; otherwise so many offsets, of which some may be its own.
 * @param {Reader[]} readers @param {number} upTo @param {import("./items.js").Items} items
 */
export const stranded = (readers, upTo, items) => readers.flatMap(({ key, name, state, held_to: from, only }) => {
	if (state !== "open" || from >= upTo) return [];
	// Of what is gone already nobody knows any more whose it was.
	const own = only && items.countOf(only, from, upTo), below = Math.max(0, items.base - from);
	const misses = own === null ? upTo - from : own + below;
	return misses ? [{ key, name, misses, exact: !only || (own !== null && !below) }] : [];
});

/** Milliseconds until `limit` is reached, by the growth of the last 30 s; null if it is not. @param {{at: number, used: number}[]} samples @param {number} limit @param {number} now */
export function pace(samples, limit, now) {
	const [first, ...rest] = samples.filter(({ at }) => now - at <= 30_000), last = rest.at(-1);
	// One event is no pace.
	if (!last || now - first.at < 2e3 || last.used < first.used + 5) return null;
	return ((limit - last.used) * (now - first.at)) / (last.used - first.used);
}

/** What the whole view is: the worst that is true of it. @param {Partial<Frame>} frame @param {number} silence ms @param {number} loop s @param {boolean} broken */
export function stateOf({ stream, trouble }, silence, loop, broken) {
	if (broken || silence > 3000) return "gone";
	if (loop > 3) return "busy";
	if (trouble) return "stale";
	return !stream ? "empty" : stream.status === "RUNNING" ? "live" : "closed";
}

/**
 * Duplicates that were dropped, by batch. A frame tells the last batches only; a ghost stays as long
 * as the copy that won is there.
 * @param {Map<string, Ghost>} known @param {Verdict[]} batches @param {number} base @param {number} born
 */
export function collectGhosts(known, batches, base, born) {
	/** @type {Map<string, Ghost>} */
	const told = new Map(), ghosts = new Map(known);
	for (const [id, seq, verdict, first, items] of batches) {
		const key = `${id}:${seq}:${first}`, copies = (told.get(key)?.copies ?? 0) + 1;
		if (verdict === "duplicate" && first !== null) told.set(key, { key, id, seq, first, items, copies, born });
	}
	for (const [key, ghost] of told) if (ghost.copies > (known.get(key)?.copies ?? 0)) ghosts.set(key, ghost);
	for (const [key, { first, items }] of ghosts) if (first + items <= base || ghosts.size > 2000) ghosts.delete(key);
	return ghosts;
}

/**
 * What stands at each seam: the number of the run that took over there, where it is known.
 * @param {Stream} stream
 */
export function seamNames({ seams, run }) {
	// Two hand-overs at one offset are one seam, and only the last 16 are kept: then only the last is sure.
	const all = run === seams.length + 1;
	return seams.map((_, i) => (i === seams.length - 1 ? (run ? `run ${run}` : "this run") : all ? `run ${i + 2}` : "a run"));
}

/** Black or white: what is better to read on a colour "#rrggbb". @param {string} color */
export function inkOn(color) {
	/** @param {number} at */
	const part = (at) => (parseInt(color.slice(at, at + 2), 16) / 255) ** 2.2;
	return 0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5) > 0.18 ? "#000" : "#fff";
}
