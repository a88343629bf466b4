import assert from "node:assert/strict";
import { test } from "node:test";
import type { Job, ModelState } from "../../../vscode-extension/src/messages";
import { ageOf, fenced, figuresOf, nameOf, oneLine, residencyOf } from "../../../vscode-extension/src/wording";

const DAY = 86_400_000;
const NOW = Date.UTC(2026, 5, 1);

test("an age is said in the unit a person would use", () => {
  const ages = [0.9, 1, 3, 59, 60, 729, 730].map((days) => ageOf(NOW - days * DAY, NOW));
  assert.deepEqual(ages, ["today", "yesterday", "3 days ago", "59 days ago", "2 months ago", "24 months ago", "2 years ago"]);
});

test("a text of several lines becomes one of at most 200 characters", () => {
  assert.equal(oneLine("  why\n\tdoes it\r\nfail? "), "why does it fail?");
  assert.equal(oneLine("x".repeat(500)).length, 200);
});

test("a question names a document with its words alone", () => {
  assert.equal(nameOf("Why does ../load.py\n(Größe) fail?"), "why-does-load-py-größe-fail");
  assert.equal(nameOf("a ".repeat(99)), `${"a-".repeat(29)}a`);
  assert.equal(nameOf("?!"), "");
});

test("counts that are zero are left out", () => {
  const job: Job = {
    jobId: "1", kind: "import", state: "done", progress: 1, message: "", reasons: [], error: null,
    figures: { read: 4, stored: 3, duplicates: 0, failed: 1 }, createdAt: 0, finishedAt: null,
  };
  assert.equal(figuresOf(job), "4 read, 3 stored, 1 failed");
  assert.equal(figuresOf({ ...job, figures: { read: 0 } }), "nothing new");
});

test("a model's residency is said with what it takes and how long it has been idle", () => {
  const model: ModelState = {
    id: "tiny", backend: "llama_cpp", place: "/models/tiny.gguf", state: "loaded", isDefault: true, sizeMb: 600,
    rssMb: 812.4, pid: 4, idleSeconds: 40.2, context: 2048, adapter: null, problem: null,
  };
  assert.equal(residencyOf(model), "loaded, 812 MB, idle for 40 s");
  assert.equal(residencyOf({ ...model, state: "unloaded", rssMb: 0, idleSeconds: null }), "unloaded, 600 MB");
  assert.equal(residencyOf({ ...model, state: "remote", sizeMb: 0, rssMb: 0, idleSeconds: null }), "remote");
});

test("nothing in a block of code closes its fence", () => {
  assert.equal(fenced("x = 1\n\n", "python"), "```python\nx = 1\n```");
  assert.equal(fenced("````md\n```\n````", ""), "`````\n````md\n```\n````\n`````");
});
