// What the browser knows of each offset. Pure.

export const CHUNK = 4096;

/** In place of a topic: nothing is known of this offset. */
export const UNKNOWN = 0xffff;

/** The columns of an answer: topic, size, id, sequence. */
const TYPES = /** @type {const} */ ([Uint16Array, Uint32Array, Int16Array, Uint32Array]);

/**
 * @typedef {{topic: number, size: number, id: number, seq: number}} Item
 *   `id`: -1 if no publisher is known, -2 if it is one beyond those that are told apart
 * @typedef {{id: number, seq: number, first: number, items: number}} Batch
 * @typedef {{topic: Uint16Array, size: Uint32Array, id: Int16Array, seq: Uint32Array, known: number}} Chunk
 * @typedef {ArrayLike<number>} Column
 */

/**
 * What is known of the offsets [base, end), in columns, in chunks of 4,096 offsets. Merging is
 * idempotent and takes any order; nothing below the base is kept.
 */
export class Items {
	constructor() {
		/** @type {Map<number, Chunk>} */
		this.chunks = new Map();
		this.base = 0;
		this.end = 0;
		/** How many are known. */
		this.fetched = 0;
	}

	/** Move the bounds forward. They never go back: an older answer does no harm. @param {number} base @param {number} end */
	bound(base, end) {
		this.end = Math.max(this.end, end, base);
		if (base <= this.base) return;
		this.base = base;
		for (const [number, chunk] of this.chunks) {
			const below = Math.min(base - number * CHUNK, CHUNK), before = chunk.known;
			for (let at = 0; at < below; at++) {
				if (chunk.topic[at] !== UNKNOWN) chunk.known--;
				chunk.topic[at] = UNKNOWN;
			}
			this.fetched += chunk.known - before;
			if (below === CHUNK) this.chunks.delete(number);
		}
	}

	/**
	 * Take columns for consecutive offsets from `first`; returns how many were not known.
	 * @param {number} first @param {Column} topic @param {Column} size @param {Column} id @param {Column} seq
	 */
	merge(first, topic, size, id, seq) {
		const before = this.fetched, to = Math.min(topic.length, this.end - first);
		for (let i = Math.max(0, this.base - first); i < to; i++) {
			const chunk = this.chunk(Math.floor((first + i) / CHUNK)), at = (first + i) % CHUNK;
			const known = chunk.topic[at] !== UNKNOWN;
			// A batch that the stream has forgotten stays known here.
			if (known && id[i] < 0) continue;
			if (!known) {
				chunk.known++;
				this.fetched++;
			}
			chunk.topic[at] = topic[i];
			chunk.size[at] = size[i];
			chunk.id[at] = id[i];
			chunk.seq[at] = seq[i];
		}
		return this.fetched - before;
	}

	/** @param {number} number */
	chunk(number) {
		let chunk = this.chunks.get(number);
		if (!chunk) {
			chunk = {
				topic: new Uint16Array(CHUNK).fill(UNKNOWN), size: new Uint32Array(CHUNK), id: new Int16Array(CHUNK),
				seq: new Uint32Array(CHUNK), known: 0,
			};
			this.chunks.set(number, chunk);
		}
		return chunk;
	}

	/** An item, or null if it is not known. @param {number} offset @returns {Item | null} */
	at(offset) {
		const chunk = this.chunks.get(Math.floor(offset / CHUNK)), at = offset % CHUNK;
		if (!chunk || chunk.topic[at] === UNKNOWN) return null;
		return { topic: chunk.topic[at], size: chunk.size[at], id: chunk.id[at], seq: chunk.seq[at] };
	}

	/** The batch that an offset belongs to; null if to none. @param {number} offset @returns {Batch | null} */
	batch(offset) {
		const item = this.at(offset);
		if (!item || item.id < 0) return null;
		let first = offset, next = offset + 1;
		while (sameBatch(item, this.at(first - 1))) first--;
		while (sameBatch(item, this.at(next))) next++;
		return { id: item.id, seq: item.seq, first, items: next - first };
	}

	/** The last offset in [from, to) that is not known; -1 if all are. @param {number} from @param {number} to */
	lastHole(from, to) {
		const low = Math.max(from, this.base);
		for (let at = Math.min(to, this.end) - 1; at >= low;) {
			const start = Math.floor(at / CHUNK) * CHUNK, chunk = this.chunks.get(start / CHUNK);
			if (!chunk) return at;
			if (chunk.known === CHUNK) at = start - 1;
			else for (; at >= Math.max(start, low); at--) if (chunk.topic[at - start] === UNKNOWN) return at;
		}
		return -1;
	}

	/**
	 * How many items of these topics are in [from, to); null if not all of them are known.
	 * @param {number[]} topics @param {number} from @param {number} to
	 */
	countOf(topics, from, to) {
		let found = 0;
		for (let at = Math.max(from, this.base); at < Math.min(to, this.end); at++) {
			const item = this.at(at);
			if (!item) return null;
			if (topics.includes(item.topic)) found++;
		}
		return found;
	}
}

/** @param {{id: number, seq: number} | null | undefined} a @param {{id: number, seq: number} | null | undefined} b */
export const sameBatch = (a, b) => !!a && !!b && a.id >= 0 && a.id === b.id && a.seq === b.seq;

/** A frame's `runs`, [[count, id, sequence], ...], as two columns. @param {number[][]} runs */
export function expandRuns(runs) {
	/** @param {number} which */
	const column = (which) => runs.flatMap((run) => Array(run[0]).fill(run[which]));
	return [column(1), column(2)];
}

/** The columns of an answer. Copied: they may begin at an odd address. @param {DataView[]} buffers @returns {Column[]} */
export const columns = (buffers) => TYPES.map((Type, i) => {
	const { buffer, byteOffset = 0, byteLength } = buffers[i];
	return new Type(/** @type {ArrayBuffer} */ (buffer ?? buffers[i]).slice(byteOffset, byteOffset + byteLength));
});

/**
 * What to ask for: the newest hole in view, else the newest of all, with as much before it as an
 * answer holds. Its neighbours come along: few messages are worth more than few bytes.
 * @param {Items} items @param {number} from @param {number} to
 */
export function nextRange(items, from, to, most = CHUNK) {
	const seen = items.lastHole(from, to), hole = seen < 0 ? items.lastHole(items.base, items.end) : seen;
	if (hole < 0) return null;
	let first = Math.max(items.base, hole - most + 1);
	while (items.at(first)) first++;
	return { first, count: hole + 1 - first };
}
