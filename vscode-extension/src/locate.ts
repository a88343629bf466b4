/** Which command line starts the server, or in words why there is none. Knows nothing of VS Code. */

import { execFile } from "node:child_process";
import { access, constants, stat } from "node:fs/promises";
import * as path from "node:path";

/** What the user has set or chosen; empty where nothing was. */
export interface Wishes {
  readonly command: readonly string[];
  readonly python: string;
  /** The interpreter chosen in the Python extension; asked only when it is needed. */
  readonly chosenInterpreter: () => Promise<string | undefined>;
}

export interface Located {
  readonly argv: readonly [string, ...string[]];
  /** Whether another choice in the Python extension would change the answer. */
  readonly fromInterpreter: boolean;
}

export interface Problem {
  readonly message: string;
  /** What to type in a terminal to mend it. */
  readonly install?: string;
}

type Fitness = "fit" | "absent" | "too old" | "without remanence";

const INSTALL = "pipx install remanence";
const ANSWER_WITHIN_MS = 30_000;

/**
 * The order: the command that was set; the Python that was set; `remanence` on the PATH; the interpreter of the
 * Python extension; `python3`, `python` on the PATH. What was set and does not work is a problem, never skipped.
 */
export async function locateServer(wishes: Wishes, env: NodeJS.ProcessEnv): Promise<Located | Problem> {
  const [program, ...args] = wishes.command;
  if (program !== undefined) {
    return { argv: [program, ...args], fromInterpreter: false };
  }
  if (wishes.python !== "") {
    const fitness = await fitnessOf(wishes.python, env);
    return fitness === "fit" ? moduleOf(wishes.python, false) : problemOf(wishes.python, fitness, "remanence.python");
  }
  const script = await findOnPath("remanence", env);
  if (script !== undefined) {
    return { argv: [script, "lsp"], fromInterpreter: false };
  }
  const chosen = await wishes.chosenInterpreter();
  const candidates = [chosen, await findOnPath("python3", env), await findOnPath("python", env)];
  let problem: Problem | undefined;
  for (const python of candidates) {
    if (python === undefined) {
      continue;
    }
    const fitness = await fitnessOf(python, env);
    if (fitness === "fit") {
      return moduleOf(python, python === chosen);
    }
    problem ??= problemOf(python, fitness);
  }
  return (
    problem ?? {
      message: "Remanence needs Python 3.11 or later, and no Python was found. Install Python, then the remanence package.",
      install: INSTALL,
    }
  );
}

export function isProblem(found: Located | Problem): found is Problem {
  return "message" in found;
}

/** The absolute path of a program; relative entries of the PATH are passed over, as they would mean the open folder. */
export async function findOnPath(program: string, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const windows = process.platform === "win32";
  const endings = windows ? (env["PATHEXT"] ?? ".EXE").split(";").filter((ending) => /^\.(exe|com)$/i.test(ending)) : [""];
  for (const folder of (env["PATH"] ?? env["Path"] ?? "").split(path.delimiter)) {
    for (const ending of endings) {
      const file = path.join(folder, program + ending);
      if (path.isAbsolute(folder) && (await isExecutable(file))) {
        return file;
      }
    }
  }
  return undefined;
}

async function isExecutable(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    return (await stat(file)).isFile();
  } catch {
    return false; // there is no such file, or it is not ours to run
  }
}

/** `-P`: the folder the process runs in must not be able to stand in for a package. */
function moduleOf(python: string, fromInterpreter: boolean): Located {
  return { argv: [python, "-P", "-m", "remanence", "lsp"], fromInterpreter };
}

function fitnessOf(python: string, env: NodeJS.ProcessEnv): Promise<Fitness> {
  return new Promise((resolve) => {
    const options = { env, timeout: ANSWER_WITHIN_MS, windowsHide: true };
    execFile(python, ["-P", "-c", "import remanence"], options, (error, _stdout, stderr) => {
      if (error === null) {
        resolve("fit");
      } else if (typeof error.code === "string") {
        resolve("absent"); // ENOENT, EACCES: it could not be started at all
      } else if (stderr.includes("Unknown option: -P") || stderr.includes("unknown option -P")) {
        resolve("too old"); // -P came with Python 3.11
      } else {
        resolve("without remanence");
      }
    });
  });
}

function problemOf(python: string, fitness: Exclude<Fitness, "fit">, setting?: string): Problem {
  const named = setting === undefined ? python : `${python} (${setting})`;
  switch (fitness) {
    case "absent":
      return { message: `Remanence: the Python ${named} cannot be started. Choose another one.`, install: INSTALL };
    case "too old":
      return { message: `Remanence needs Python 3.11 or later, which ${named} is not.`, install: INSTALL };
    case "without remanence":
      return {
        message: `Remanence: the Python package is not installed in ${named}. Install it there, or choose another Python.`,
        install: `${quoted(python)} -m pip install remanence`,
      };
  }
}

function quoted(file: string): string {
  return /^[\w./\\:-]+$/.test(file) ? file : `"${file}"`;
}
