// Numbers and names as a person reads them. Pure.

/** @param {number} value @param {number} low @param {number} high */
export const clamp = (value, low, high) => Math.max(low, Math.min(high, value));

/** 1234567 -> "1,234,567", the same in every locale. @param {number} n */
export const count = (n) => String(Math.round(n)).replace(/\B(?=(\d{3})+$)/g, ",");

/** @param {number} n @param {string} word */
export const plural = (n, word, many = `${word}s`) => `${count(n)} ${n === 1 ? word : many}`;

/** 5900 -> "5.8 KB". @param {number} n */
export function bytes(n) {
	let unit = 0;
	for (; n >= 1000 && unit < 4; unit++) n /= 1024;
	return `${unit && n < 99.95 ? n.toFixed(1) : Math.round(n)} ${["B", "KB", "MB", "GB", "TB"][unit]}`;
}

/** Milliseconds in their largest unit: "3 s", "2 min", "5 h", "4 d". @param {number} ms */
export function span(ms) {
	const s = ms / 1000;
	if (s < 90) return s < 1 ? "< 1 s" : `${Math.floor(s)} s`;
	if (s < 5400) return `${Math.round(s / 60)} min`;
	return s < 129600 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86400)} d`;
}

/** @param {string | null | undefined} text */
export const short = (text, most = 24) => (text && text.length > most ? `${text.slice(0, most - 1)}…` : `${text}`);

/** Consecutive offsets: "4", "4–6". @param {number} first @param {number} items */
export const offsets = (first, items) => (items > 1 ? `${count(first)}–${count(first + items - 1)}` : count(first));

/** What somebody typed, as a whole number from 0 on. @param {string} text */
export const whole = (text) => Math.max(0, Math.floor(Number(text)) || 0);
