import assert from "node:assert/strict";
import { test } from "node:test";
import type { AdapterFigures, ScoreFigures, TrainPlan } from "../../../vscode-extension/src/learningMessages";
import type { Job } from "../../../vscode-extension/src/messages";
import type { ModelState } from "../../../vscode-extension/src/modelMessages";
import {
  adapterOf, ageOf, comparisonOf, durationOf, fenced, figuresOf, nameOf, oneLine, planOf, residencyOf,
} from "../../../vscode-extension/src/wording";

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

const PLAN: TrainPlan = {
  base: "/models/small", recipe: "laptop-1b", purpose: "facts", byOrigin: {}, facts: ["a\nb"], known: 4, stages: 1, rows: 9,
  steps: 3, seconds: 90, memoryMb: 2100, parent: "old", refusal: null, note: null,
};
const SCORE: ScoreFigures = {
  n: 10, exact: 0.9, low: 0.7, high: 1, f1: 0.9, stale: 0, valid: null, decisionF1: null, precision: null, recall: null,
};
const ADAPTER: AdapterFigures = {
  id: "one", base: "/models/small", recipe: "laptop-1b", purpose: "facts", state: "active", facts: 12, folder: "/f",
  createdAt: NOW - DAY, parent: null, mergedWith: null, passed: true, reasons: [],
  evaluation: { adapter: { paraphrase: SCORE }, "adapter with recall": { paraphrase: { ...SCORE, exact: 1 }, general: SCORE } },
};

test("a plan says what is learned, from where, and what it takes", () => {
  const said = planOf(PLAN);
  assert.match(said, /^• a b\nRepeats 4 /);
  assert.match(said, /on from the adapter old\n/);
  assert.match(said, /about 90 s and 2100 MB, by the recipe laptop-1b/);
  assert.match(planOf({ ...PLAN, facts: Array.from({ length: 20 }, (_, n) => `fact ${n}`) }), /• fact 11\n… and 8 more\n/);
  assert.doesNotMatch(planOf({ ...PLAN, parent: null }), /on from/);
});

test("a duration is said in the unit a person would use", () => {
  assert.deepEqual([119, 120, 7199, 7200].map(durationOf), ["119 s", "2 min", "120 min", "2.0 h"]);
});

test("an adapter says what it was made of and how it was judged", () => {
  const active = adapterOf(ADAPTER, NOW);
  assert.equal(active.label, "$(check) one");
  assert.equal(active.description, "active · 12 facts · yesterday");
  const merged = adapterOf({ ...ADAPTER, state: "refused", parent: "a", mergedWith: "b", passed: false }, NOW);
  assert.equal(merged.label, "one");
  assert.match(merged.detail, /^did not pass its evaluation · of a and b · /);
  assert.match(adapterOf({ ...ADAPTER, parent: "a", passed: null }, NOW).detail, /^not evaluated · on from a · /);
});

test("adapters are compared by kind of question, and what was not asked is a dash", () => {
  const lines = comparisonOf([ADAPTER, { ...ADAPTER, id: "two", evaluation: {} }], "two was not evaluated").split("\n");
  assert.ok(lines.includes("| adapter | asked | general | paraphrase |"));
  assert.ok(lines.includes("| one | alone | – | 90 % |"));
  assert.ok(lines.includes("| one | with recall | 90 % | 100 % |"));
  assert.ok(lines.includes("| two | alone | – | – |"));
  assert.ok(lines.includes("two was not evaluated"));
});
