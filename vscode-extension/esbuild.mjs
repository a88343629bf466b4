// `node esbuild.mjs` bundles the extension; `node esbuild.mjs unit` bundles the unit tests for node --test.
import { readdirSync } from "node:fs";
import { build } from "esbuild";

const shared = { bundle: true, platform: "node", target: "node20", format: "cjs", external: ["vscode"], logLevel: "warning" };

if (process.argv[2] === "unit") {
  const folder = "../tests/vscode/unit";
  const entryPoints = readdirSync(folder).filter((name) => name.endsWith(".test.ts")).map((name) => `${folder}/${name}`);
  await build({ ...shared, entryPoints, outdir: "build/unit" });
} else {
  await build({ ...shared, entryPoints: ["src/extension.ts"], outfile: "dist/extension.js", minify: true });
}
