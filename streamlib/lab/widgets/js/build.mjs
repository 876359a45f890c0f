// `npm run build`: view.js with all it imports, and view.css, each one small file beside this folder.

import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const options = { bundle: true, minify: true, write: false, target: "es2022", legalComments: "none", charset: "utf8" };
const text = async (more) => (await build({ ...options, ...more })).outputFiles[0].text.trim();

const notice = "/* Built from js/ by `make widgets`. Holds preact, (c) Jason Miller, MIT License. */\n";

const script = await text({ entryPoints: [here("view.js")], format: "esm", jsxFactory: "h", jsxFragment: "Fragment" });
await writeFile(here("../stream_view.js"), `${notice}${script}\n`);
await writeFile(here("../stream_view.css"), `${await text({ entryPoints: [here("view.css")] })}\n`);
