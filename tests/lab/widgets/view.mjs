// The module under test. Read as text: its folder says nothing about how node should load it.

import { readFile } from "node:fs/promises";

const source = await readFile(new URL("../../../streamlib/lab/widgets/stream_view.js", import.meta.url), "utf8");
const view = await import(`data:text/javascript,${encodeURIComponent(source)}`);

export const {
  CHUNK, Items, KINDS, STUB, bin, bytes, collectGhosts, columns, count, expandRuns, fitScale, hit, inkOn,
  letters, nextRange, offsetAt, offsets, pace, pan, placeGhosts, plural, rowsOf, rulerStep, settle, short, span,
  standing, stateOf, stranded, tail, xOf, zoom, default: widget,
} = view;
