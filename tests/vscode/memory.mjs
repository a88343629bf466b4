// A REMANENCE_HOME of its own for the tests, filled and looked into with the real command line.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const REMANENCE = join(process.env.SERVER_BIN, "remanence");

/** An empty memory whose embedder is already prepared. `env` is added to what its engine runs in. */
export function createMemory(env = {}) {
  const home = mkdtempSync(join(tmpdir(), "remanence-home-"));
  mkdirSync(join(home, "models"));
  symlinkSync(process.env.EMBEDDER, join(home, "models", process.env.EMBEDDER.split("/").at(-1)));
  const environ = { ...process.env, ...env, REMANENCE_HOME: home };
  const run = (...args) => execFileSync(REMANENCE, args, { env: environ, encoding: "utf8" });
  const json = (...args) => JSON.parse(run(...args, "--json"));

  return {
    home,
    recall: (query) => json("recall", query).memories,

    /** Imports a file and waits until each row has its vector and its keywords. */
    async import(file) {
      run("import", file);
      for (let tries = 0; tries < 600; tries++) {
        const { exchanges, pending } = json("status");
        if (exchanges > 0 && pending === 0) return;
        await sleep(200);
      }
      throw new Error("the import was not indexed");
    },

    remove() {
      run("stop");
      rmSync(home, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
    },
  };
}
