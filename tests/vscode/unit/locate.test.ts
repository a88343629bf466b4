// The search for the server, with real programs in a folder of its own as the PATH.
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { findOnPath, isProblem, locateServer, type Located, type Problem, type Wishes } from "../../../vscode-extension/src/locate";

const REAL_PYTHON = process.env["PYTHON"] ?? "/usr/bin/python3";
let folder: string;

beforeEach(() => { folder = mkdtempSync(join(tmpdir(), "remanence-locate-")); });
afterEach(() => { rmSync(folder, { recursive: true }); });

function program(name: string, body: string): string {
  const file = join(folder, name);
  writeFileSync(file, `#!/bin/sh\n${body}\n`);
  chmodSync(file, 0o755);
  return file;
}

/** A Python that finds a `remanence` package, which lies in a folder only it looks into. */
function pythonWithRemanence(name: string): string {
  writeFileSync(join(folder, "remanence.py"), "");
  return program(name, `PYTHONPATH="${folder}" exec "${REAL_PYTHON}" "$@"`);
}

function locate(wishes: Partial<Wishes> = {}): Promise<Located | Problem> {
  const nothing: Wishes = { command: [], python: "", chosenInterpreter: () => Promise.resolve(undefined) };
  return locateServer({ ...nothing, ...wishes }, { PATH: folder });
}

async function found(wishes: Partial<Wishes> = {}): Promise<Located> {
  const answer = await locate(wishes);
  assert.ok(!isProblem(answer), JSON.stringify(answer));
  return answer;
}

async function problem(wishes: Partial<Wishes> = {}): Promise<Problem> {
  const answer = await locate(wishes);
  assert.ok(isProblem(answer), JSON.stringify(answer));
  return answer;
}

test("a command that was set is taken as it is, before anything on the PATH", async () => {
  program("remanence", "exit 0");
  assert.deepEqual((await found({ command: ["/opt/r", "lsp", "--x"], python: "/nowhere" })).argv, ["/opt/r", "lsp", "--x"]);
});

test("remanence on the PATH comes before any Python, and the Python extension is not asked", async () => {
  const script = program("remanence", "exit 0");
  pythonWithRemanence("python3");
  const chosenInterpreter = () => assert.fail("asked for an interpreter");
  assert.deepEqual((await found({ chosenInterpreter })).argv, [script, "lsp"]);
});

test("a Python that was set comes before remanence on the PATH", async () => {
  program("remanence", "exit 0");
  const python = pythonWithRemanence("mine");
  assert.deepEqual((await found({ python })).argv, [python, "-P", "-m", "remanence", "lsp"]);
});

test("the interpreter of the Python extension comes before python3", async () => {
  pythonWithRemanence("python3");
  const chosen = pythonWithRemanence("chosen");
  const located = await found({ chosenInterpreter: () => Promise.resolve(chosen) });
  assert.equal(located.argv[0], chosen);
  assert.equal(located.fromInterpreter, true);
});

test("a chosen interpreter without the package is passed over for a python3 that has it", async () => {
  const python3 = pythonWithRemanence("python3");
  const bare = join(folder, "bare");
  symlinkSync(REAL_PYTHON, bare);
  const located = await found({ chosenInterpreter: () => Promise.resolve(bare) });
  assert.equal(located.argv[0], python3);
  assert.equal(located.fromInterpreter, false);
});

test("a folder named remanence where the process runs does not pass for the package", async () => {
  symlinkSync(REAL_PYTHON, join(folder, "python3"));
  writeFileSync(join(folder, "remanence.py"), "raise SystemExit(0)");
  const before = process.cwd();
  process.chdir(folder);
  try {
    assert.match((await problem()).message, /not installed/);
  } finally {
    process.chdir(before);
  }
});

test("no Python at all: says so and how to install", async () => {
  const { message, install } = await problem();
  assert.match(message, /Python 3\.11 or later.*no Python was found/);
  assert.equal(install, "pipx install remanence");
});

test("a Python without the package: names it and gives its own pip", async () => {
  const python = join(folder, "python3");
  symlinkSync(REAL_PYTHON, python);
  const { message, install } = await problem();
  assert.ok(message.includes(`not installed in ${python}`), message);
  assert.equal(install, `${python} -m pip install remanence`);
});

test("a Python that was set and is not there is a problem, even with remanence on the PATH", async () => {
  program("remanence", "exit 0");
  assert.match((await problem({ python: join(folder, "gone") })).message, /gone \(remanence\.python\) cannot be started/);
});

test("a Python before 3.11 is told from one without the package", async () => {
  program("python3", 'echo "Unknown option: -P" >&2; exit 2'); // what Python 3.10 says
  assert.match((await problem()).message, /needs Python 3\.11 or later, which .*python3 is not/);
});

test("relative entries of the PATH, files that cannot be run and folders are passed over", async () => {
  const script = program("tool", "exit 0");
  const before = process.cwd();
  process.chdir(folder);
  try {
    assert.equal(await findOnPath("tool", { PATH: `.${delimiter}${delimiter}` }), undefined);
  } finally {
    process.chdir(before);
  }
  assert.equal(await findOnPath("tool", { PATH: `.${delimiter}${folder}` }), script);
  chmodSync(script, 0o644);
  assert.equal(await findOnPath("tool", { PATH: folder }), undefined);
  assert.equal(await findOnPath(folder.split("/").at(-1) ?? "", { PATH: tmpdir() }), undefined);
});
