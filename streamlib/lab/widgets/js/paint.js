// The tape, drawn on a canvas from a scene: any widget that has one can draw it.
//
//      run 2 |                       seams
//      0     5    10                 ruler
//            v ann                   readers, at the edge of what they read next
//     /// [A][B][A][A] [B]: :        cells: truncated, durable, waiting
//         |_____||____|              batches
//            x #3                    ghosts: duplicates that were dropped

import { inkOn, seamNames } from "./facts.js";
import { KINDS, STUB, bin, offsetAt, placeGhosts, rulerStep, xOf } from "./geometry.js";
import { sameBatch } from "./items.js";
import { clamp, count, offsets, short } from "./words.js";

/**
 * @typedef {{ink: string, soft: string, faint: string, card: string, accent: string, bad: string, edge: string,
 *   pens: string[], code: string, font: string}} Ink  the page's colours and fonts
 * @typedef {import("./geometry.js").Place} Place
 * @typedef {import("./geometry.js").PlacedGhost} PlacedGhost
 * @typedef {import("./geometry.js").Tail} Tail
 * @typedef {import("./geometry.js").Ghost} Ghost
 * @typedef {object} Scene  what a tape shows
 * @property {import("./items.js").Items} items
 * @property {import("./facts.js").Stream} stream
 * @property {Place} place
 * @property {import("./geometry.js").Rows} rows
 * @property {string[]} palette
 * @property {string[]} letters
 * @property {Set<number>} hidden  topics that are left out
 * @property {(id: number, most?: number) => string} who  a publisher's name
 * @property {Tail[]} tails
 * @property {{name: string, position: number, below: number, held_to: number}[]} readers
 * @property {Map<string, Ghost>} ghosts
 * @property {PlacedGhost[]} placed
 * @property {number | null} selected
 * @property {{id?: number, seq?: number, key?: string, first?: number, items?: number} | null} chosen
 * @property {number | null} preview  everything below it would go
 * @property {number | null} edge  where one can take hold of the base
 * @property {boolean} still  nothing may move
 * @property {Uint16Array} [bins]
 */

/** A canvas, in CSS pixels and the page's colours. */
export class Pen {
	/** @param {HTMLCanvasElement} canvas @param {number} width @param {number} height @param {Ink} ink */
	constructor(canvas, width, height, ink, ratio = devicePixelRatio) {
		const ctx = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
		const [w, t] = [width * ratio, height * ratio].map(Math.round);
		this.ctx = ctx;
		this.width = width;
		this.ink = ink;
		if (canvas.width !== w || canvas.height !== t) Object.assign(canvas, { width: w, height: t });
		canvas.style.cssText = `width:${width}px;height:${height}px`;
		ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
		ctx.clearRect(0, 0, width, height);
	}

	/**
	 * A rectangle, filled, framed, or both. `alpha` is the filling's.
	 * @param {number} x @param {number} y @param {number} width @param {number} height
	 * @param {{fill?: string, alpha?: number, line?: string, thick?: number, dash?: number[], round?: number}} how
	 */
	box(x, y, width, height, { fill = "", alpha = 1, line, thick = 1, dash = [], round = 0 }) {
		const { ctx } = this, shade = ctx.globalAlpha, inset = line ? thick / 2 : 0;
		ctx.fillStyle = fill;
		ctx.globalAlpha = shade * alpha;
		if (!round && !line) ctx.fillRect(x, y, width, height);
		else {
			ctx.beginPath();
			ctx.roundRect(x + inset, y + inset, Math.max(0, width - 2 * inset), height - 2 * inset, round);
			if (fill) ctx.fill();
		}
		ctx.globalAlpha = shade;
		if (line) this.stroke(line, thick, dash);
	}

	/** @param {string} color @param {number[]} dash */
	stroke(color, thick = 1, dash = []) {
		Object.assign(this.ctx, { strokeStyle: color, lineWidth: thick });
		this.ctx.setLineDash(dash);
		this.ctx.stroke();
	}

	/** @param {[number, number][]} points */
	path(points) {
		this.ctx.beginPath();
		points.forEach((point) => this.ctx.lineTo(...point));
	}

	/** @param {number} x @param {number} y @param {number} width @param {number} height @param {string} color */
	hatch(x, y, width, height, color, step = 6) {
		const { ctx } = this;
		ctx.save();
		ctx.beginPath();
		ctx.rect(x, y, width, height);
		ctx.clip();
		ctx.beginPath();
		for (let at = Math.floor((x - height) / step) * step; at < x + width; at += step) {
			ctx.moveTo(at, y + height);
			ctx.lineTo(at + height, y);
		}
		this.stroke(color);
		ctx.restore();
	}

	/**
	 * Words; returns their width.
	 * @param {string} words @param {number} x @param {number} y @param {string} color
	 * @param {{size?: number, weight?: number, align?: CanvasTextAlign, code?: boolean}} how
	 */
	text(words, x, y, color, { size = 10.5, weight = 400, align = "center", code = false } = {}) {
		const { ctx, ink } = this, font = `${weight} ${size}px ${code ? ink.code : ink.font}`;
		Object.assign(ctx, { font, textAlign: align, textBaseline: "middle", fillStyle: color });
		ctx.fillText(words, x, y);
		return ctx.measureText(words).width;
	}
}

/** @param {Scene} s @param {number} topic */
const colorOf = (s, topic) => s.palette[topic % s.palette.length];
/** @param {Scene} s */
const closed = (s) => s.stream.status !== "RUNNING";

/** Draw the tape; returns whether something still moves. @param {Scene} s @param {Pen} p @param {number} now */
export function paintTape(s, p, now) {
	paintGone(s, p);
	paintCells(s, p);
	paintTail(s, p);
	paintPreview(s, p);
	paintEdge(s, p);
	paintSeams(s, p);
	paintBatches(s, p);
	paintRuler(s, p);
	paintReaders(s, p);
	paintSelection(s, p);
	return paintGhosts(s, p, now);
}

/** @param {Scene} s @param {Pen} p */
function paintGone({ items: { base }, place, rows: { cell, tall, batch } }, p) {
	const end = xOf(base, place) - 4, wide = STUB - 10, align = "right";
	if (!base || end <= 0) return;
	p.hatch(end - wide, cell, wide, tall, p.ink.soft, 7);
	if (end < 60) return;
	p.text(offsets(0, base), end, batch + 5, p.ink.soft, { align, code: true });
	p.text("truncated", end, batch + 18, p.ink.soft, { align });
}

/** What is durable: cells, or shares of the topics where a pixel holds more than one item. @param {Scene} s @param {Pen} p */
function paintCells(s, p, place = s.place, y = s.rows.cell, tall = s.rows.tall) {
	if (place.scale < 1) return paintBins(s, p, place, y, tall);
	const { items } = s, { scale } = place, { ctx, ink } = p, to = Math.min(items.end, offsetAt(p.width, place) + 1);
	const gap = scale < 4 ? 0 : scale < 12 ? 1 : 3, round = scale < 10 ? 0 : Math.min(6, scale / 5);
	for (let offset = Math.max(items.base, Math.floor(place.left)); offset < to; offset++) {
		const item = items.at(offset), x = xOf(offset, place) + gap / 2, wide = scale - gap;
		const fill = item ? colorOf(s, item.topic) : ink.faint;
		ctx.globalAlpha = item && s.hidden.has(item.topic) ? 0.13 : 1;
		p.box(x, y, wide, tall, { fill, round, line: item && round ? ink.edge : undefined });
		if (!item) s.stream.describes && paintDots(p, x + wide / 2, y, tall);
		else if (tall > 20) paintLetter(s, p, item.topic, offset, inkOn(fill));
	}
	ctx.globalAlpha = 1;
}

/** Not fetched yet. @param {Pen} p @param {number} x @param {number} y @param {number} tall */
function paintDots(p, x, y, tall) {
	for (let at = 5; at < tall - 2; at += 7) p.box(x - 0.5, y + at, 1.3, 1.3, { fill: p.ink.soft, alpha: 0.6 });
}

/** @param {Scene} s @param {Pen} p @param {number} topic @param {number} offset @param {string} color */
function paintLetter({ letters, place, rows }, p, topic, offset, color) {
	const { scale } = place, x = xOf(offset, place) + scale / 2, y = rows.cell + rows.tall / 2 + 0.5;
	if (scale >= 14) p.text(letters[topic] ?? "?", x, y, color, { size: Math.min(13, scale / 2), weight: 600 });
}

/** @param {Scene} s @param {Pen} p @param {Place} place @param {number} y @param {number} tall */
function paintBins(s, p, place, y, tall) {
	const width = Math.ceil(p.width), used = new Float32Array(width), all = new Float32Array(width);
	if (s.bins?.length !== width * KINDS) s.bins = new Uint16Array(width * KINDS);
	const bins = bin(s.items, place, width, s.bins);
	bins.forEach((n, at) => { all[at >> 4] += n; });
	for (let kind = 0; kind < KINDS; kind++) {
		const known = kind < KINDS - 1, how = { fill: known ? colorOf(s, kind) : p.ink.faint };
		p.ctx.globalAlpha = s.hidden.has(kind) ? 0.13 : 1;
		for (let x = 0; x < width; x++) {
			const part = bins[x * KINDS + kind] / all[x];
			if (!part) continue;
			p.box(x, y + used[x] * tall, 1, part * tall, how);
			used[x] += part;
			if (!known && x % 4 === 0) paintDots(p, x, y, tall);
		}
	}
	p.ctx.globalAlpha = 1;
}

/** What is not durable yet, and the open edge where the next item goes. @param {Scene} s @param {Pen} p */
function paintTail(s, p) {
	const { rows: { cell, tall }, place, tails, items: { end } } = s, { scale } = place, { ink } = p;
	const gap = scale < 12 ? 1 : 3, round = Math.min(6, scale / 5), x = xOf(end + tails.length, place),
		wide = Math.max(10, scale - gap);
	tails.forEach(({ topic }, i) => {
		const waits = topic >= 0, color = waits ? colorOf(s, topic) : ink.soft;
		p.box(xOf(end + i, place) + gap / 2, cell, scale - gap, tall, {
			fill: color, alpha: waits ? 0.16 : 0.06, line: color, thick: 1.5, dash: waits ? [4, 3] : [2, 4], round,
		});
		if (waits) paintLetter(s, p, topic, end + i, ink.ink);
	});
	if (closed(s)) return p.box(x + 3, cell, 4, tall, { fill: ink.ink });
	p.path([[x + wide, cell + 1], [x + 2, cell + 1], [x + 2, cell + tall - 1], [x + wide, cell + tall - 1]]);
	p.stroke(ink.accent, 1.5);
}

/** @param {Scene} s @param {Pen} p */
function paintPreview({ preview, items: { base }, place, rows }, p) {
	if (preview === null) return;
	const { bad, card } = p.ink, to = xOf(preview, place), from = Math.max(-2, xOf(base, place));
	const wide = Math.min(p.width, to) - from, y = rows.cell - 3, tall = rows.tall + 6;
	if (wide <= 0) return;
	p.box(from, y, wide, tall, { fill: card, alpha: 0.6 });
	p.box(from, y, wide, tall, { fill: bad, alpha: 0.1 });
	p.hatch(from, y, wide, tall, bad);
}

/** The handle at the base: drag it, to see what a truncation would take. @param {Scene} s @param {Pen} p */
function paintEdge({ edge, preview, place, rows }, p) {
	if (edge === null) return;
	const x = xOf(edge, place), fill = preview === null ? p.ink.soft : p.ink.bad;
	if (x < -5 || x > p.width + 5) return;
	p.box(x - 1.5, rows.cell - 6, 2, rows.tall + 12, { fill });
	p.box(x - 4.5, rows.cell + rows.tall / 2 - 8, 8, 16, { fill: p.ink.card, line: fill, round: 3, thick: 1.5 });
}

/** @param {Scene} s @param {Pen} p */
function paintSeams({ stream, place, rows }, p) {
	let free = -Infinity;
	const names = seamNames(stream);
	stream.seams.forEach((offset, i) => {
		const x = xOf(offset, place);
		if (x < -60 || x > p.width) return;
		p.box(x - 1, 3, 1.5, rows.batch + 9, { fill: p.ink.accent });
		if (x > free) free = x + 12 + p.text(names[i], x + 5, rows.seam, p.ink.accent, { weight: 600, align: "left" });
	});
}

/** Brackets under the items of a batch. @param {Scene} s @param {Pen} p */
function paintBatches(s, p) {
	const { items, place, tails } = s, end = Math.min(items.end + tails.length, offsetAt(p.width, place) + 1);
	/** @param {number} offset @returns {any} */
	const at = (offset) => (offset < items.end ? items.at(offset) : tails[offset - items.end]);
	if (place.scale < 6) return;
	for (let next, first = Math.max(items.base, Math.floor(place.left)); first < end; first = next) {
		const batch = at(first);
		for (next = first + 1; next < end && sameBatch(batch, at(next));) next++;
		if (batch?.id >= 0) paintBracket(s, p, batch, first, next, sameBatch(batch, at(first - 1)), sameBatch(batch, at(next)));
	}
}

/** @param {Scene} s @param {Pen} p @param {{id: number, seq: number}} batch @param {number} first @param {number} next @param {boolean} before @param {boolean} after */
function paintBracket({ who, chosen, items, place, rows }, p, { id, seq }, first, next, before, after) {
	const y = rows.batch, left = xOf(first, place) + 3.5, right = xOf(next, place) - 3.5;
	const bold = chosen?.id === id && chosen.seq === seq;
	const color = p.ink.pens[id % p.ink.pens.length], from = Math.max(0, left), to = Math.min(p.width, right), middle = (from + to) / 2;
	const words = [`${who(id, 12)} #${seq}`, `${who(id, 7)} #${seq}`, `#${seq}`].find((each) => each.length * 6.1 < to - from + 2);
	p.path([[left, before ? y + 4 : y], [left, y + 4], [right, y + 4], [right, after ? y + 4 : y]]);
	p.stroke(color, bold ? 2.5 : 1.25, first < items.end ? [] : [3, 3]);
	if (words) p.text(words, middle, y + 12, color, { code: true, size: 10, weight: bold ? 700 : 400 });
}

/** @param {Scene} s @param {Pen} p */
function paintRuler(s, p) {
	const { items: { base, end }, place, rows, tails, selected } = s, { scale } = place, { ink, soft, accent } = p.ink;
	const wide = String(end).length * 7 + 14, step = rulerStep(scale, wide);
	const edge = xOf(end, place) + (tails.length || scale < 8 ? 0 : scale / 2);
	const to = Math.min(end, offsetAt(p.width, place) + 1);
	/** @param {number} at @param {number} x @param {string} color @param {number} weight */
	const label = (at, x, color, weight) => p.text(count(at), x, rows.ruler, color, { weight, code: true });
	for (let at = Math.ceil(Math.max(base, place.left) / step) * step; at < to; at += step) {
		const x = xOf(at, place) + scale / 2;
		if (Math.abs(x - edge) > wide - 8) label(at, x, at === selected ? ink : soft, at === selected ? 700 : 400);
	}
	if (edge < p.width + 9) label(end, Math.min(edge, p.width - wide / 2 + 6), closed(s) ? ink : accent, 700);
}

/**
 * Readers' names and where they stand: [{x, width, words, below}], from left to right.
 * @param {{readers: Scene["readers"], items: Scene["items"], place: Place}} scene @param {number} width
 */
export function placeReaders({ readers, items: { base }, place }, width) {
	/** @type {Map<number, string[]>} */
	const at = new Map();
	for (const { name, position, below } of readers) {
		const key = below ? base - 1 : Math.max(position, base), label = short(name, 16) + (below ? `, ${count(below)} gone` : "");
		at.set(key, [...(at.get(key) ?? []), label]);
	}
	return [...at].sort((a, b) => a[0] - b[0]).flatMap(([position, names]) => {
		const below = position < base, tip = below ? xOf(base, place) - STUB + 16 : xOf(position, place);
		const words = names.slice(0, 3).join(", ") + (names.length > 3 ? ` +${names.length - 3}` : ""), wide = words.length * 6.6 + 6;
		const x = tip + 8 + wide > width ? tip - 8 - wide : tip + 8;
		return tip < -4 || tip > width + 4 ? [] : [{ x, width: wide, tip, words, below }];
	});
}

/**
 * Rows for readers' names, from the lowest, in which their triangles are: neither a name nor a
 * triangle covers another; -1 for a name that finds no room.
 * @param {ReturnType<typeof placeReaders>} labels  from left to right
 */
export function readerLanes(labels, most = 4) {
	/** @type {number[]} Where each row is taken from on. */
	const taken = [];
	return labels.reduceRight((/** @type {number[]} */ lanes, { x, width, tip }) => {
		let row = 0;
		while (row < most && (taken[row] ?? Infinity) < x + width) row++;
		if (row < most) taken[row] = x;
		taken[0] = Math.min(taken[0] ?? Infinity, tip - 7, row ? Infinity : x);
		return [row < most ? row : -1, ...lanes];
	}, []);
}

/** A triangle where each reader stands: at the edge of what it reads next. @param {Scene} s @param {Pen} p */
function paintReaders(s, p) {
	const { rows } = s, labels = placeReaders(s, p.width), lanes = readerLanes(labels);
	labels.forEach(({ x, tip, words, below }, i) => {
		const color = below ? p.ink.bad : p.ink.ink, y = rows.reader + 8 - 12 * Math.max(0, lanes[i]);
		if (lanes[i] > 0) p.box(tip - 0.5, y, 1, rows.reader - y, { fill: color, alpha: 0.5 });
		p.text("▼", tip, rows.reader + 8, color, { size: 13 });
		p.text(lanes[i] < 0 ? "…" : words, x, y, color, { weight: 600, align: "left" });
	});
}

/** @param {Scene} s @param {Pen} p */
function paintSelection({ selected, chosen, place, rows }, p) {
	const first = chosen?.first ?? selected, items = chosen?.items ?? 1, wide = Math.max(3, items * place.scale) + 1;
	const how = { line: chosen ? p.ink.accent : p.ink.ink, thick: 2, round: place.scale < 10 ? 1 : 7 };
	if (first !== null) p.box(xOf(first, place) - 0.5, rows.cell - 2.5, wide, rows.tall + 5, how);
}

/** Duplicates that were dropped fall to their place, below the copies that won. @param {Scene} s @param {Pen} p @param {number} now */
function paintGhosts(s, p, now) {
	const { cell, ghost: floor, lane: tall } = s.rows, line = p.ink.bad;
	let falling = false;
	s.placed = placeGhosts(s.ghosts.values(), s.place, p.width);
	for (const { ghost, x, width, lane, also } of s.placed) {
		const part = s.still ? 1 : clamp((now - ghost.born) / 700, 0, 1), ease = 1 - (1 - part) ** 3;
		const copies = ghost.copies + also, words = `✕ #${ghost.seq}${copies > 1 ? ` ×${copies}` : ""}`;
		const y = cell + (floor + lane * tall - cell) * ease, thick = s.chosen?.key === ghost.key ? 2 : 1;
		falling ||= part < 1;
		p.ctx.globalAlpha = 0.3 + 0.7 * ease;
		if (width > 30) p.box(x + 1, y, width - 2, 17, { fill: line, alpha: 0.1, line, dash: [3, 2.5], round: 5, thick });
		p.text(width > 30 ? words : "✕", x + width / 2, y + 9, line, { weight: 600, size: 10 });
		p.ctx.globalAlpha = 1;
	}
	return falling;
}

/** The whole stream in a strip: what is gone, what is held, the window that the tape shows. @param {Scene} s @param {Pen} p @param {[number, number]} window */
export function paintOverview(s, p, window) {
	const { items: { base, end }, preview } = s, { ink } = p, place = { left: 0, scale: p.width / Math.max(end, 60) };
	/** @param {number} offset */
	const x = (offset) => clamp(xOf(offset, place), 0, p.width);
	const y = 4, tall = 16, [from, to] = window.map(x);
	p.hatch(0, y, x(base), tall, ink.soft, 5);
	paintCells(s, p, place, y, tall);
	if (preview !== null) p.hatch(x(base), y, x(preview) - x(base), tall, ink.bad, 5);
	for (const seam of s.stream.seams) p.box(x(seam) - 1, 1, 1.5, tall + 6, { fill: ink.accent });
	for (const { first } of s.ghosts.values()) p.box(x(first), y + tall + 2, 2, 4, { fill: ink.bad });
	p.box(from, 1.5, Math.max(6, to - from), tall + 5, { line: ink.ink, thick: 1.5, round: 4 });
}

/** @param {HTMLCanvasElement} canvas @param {number[]} trend @param {Ink} ink @param {number} ratio */
export function paintTrend(canvas, trend, ink, ratio) {
	const p = new Pen(canvas, 64, 20, ink, ratio), most = Math.max(1, ...trend), last = trend.length - 1;
	p.path(trend.map((n, i) => [2 + (i / last) * 60, 17 - (n / most) * 14]));
	p.stroke(ink.accent, 1.5);
}
