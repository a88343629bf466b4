// The extension and the real server in a real VS Code, driven through its user interface.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { startVSCode } from "./harness.mjs";
import { createMemory } from "./memory.mjs";
import { answer, choose, choosePath, editor, focusEditor, notification, palette, shownText, until, untilTrue } from "./window.mjs";

const SOURCE = 'def load(path):\n    return parse_manifest(path)\n\n';
const DEMO = join(import.meta.dirname, "demo.jsonl");
let assistant, memory, vscode;

before(async () => {
  assistant = writeSession();
  const found = { CLAUDE_CONFIG_DIR: assistant };
  memory = createMemory(found);
  await memory.import(DEMO);
  // The server is found as users have it: `remanence` on the PATH.
  const path = `${process.env.SERVER_BIN}:${process.env.PATH}`;
  vscode = await startVSCode({ vsix: process.env.VSIX, env: { ...found, REMANENCE_HOME: memory.home, PATH: path } });
}, { timeout: 240_000 });

after(async () => {
  await vscode?.stop();
  memory?.remove();
  if (assistant) rmSync(assistant, { recursive: true });
});

/** What Claude Code leaves on disk of one question and its answer. */
function writeSession() {
  const folder = mkdtempSync(join(tmpdir(), "remanence-assistant-"));
  mkdirSync(join(folder, "projects", "-srv-mill"), { recursive: true });
  const said = [
    { type: "user", uuid: "u1", parentUuid: null, message: { role: "user", content: "Which sluice feeds the mill pond?" } },
    { type: "assistant", uuid: "a1", parentUuid: "u1", message: { role: "assistant", content: [{ type: "text", text: "The eastern sluice feeds it." }] } },
  ];
  const lines = said.map((line) => JSON.stringify({ ...line, sessionId: "s1", timestamp: "2026-07-01T10:00:00.000Z", cwd: "/srv/mill" }));
  writeFileSync(join(folder, "projects", "-srv-mill", "s1.jsonl"), `${lines.join("\n")}\n`);
  return folder;
}

async function open(t, name, text) {
  const page = await vscode.open(vscode.workspace({ [name]: text }), name);
  t.after(async () => {
    if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/${t.name.replace(/\W+/g, "_")}.png` });
    await page.context().close();
  });
  await focusEditor(page);
  return page;
}

test("the VSIX installs", () => {
  assert.match(vscode.installed, /successfully installed/);
});

test("hovering a name shows what was said about it, and its link opens the whole", async (t) => {
  const page = await open(t, "load.py", SOURCE);
  await page.keyboard.press("Control+Home");
  await page.keyboard.press("ArrowDown");
  for (let column = 0; column < 14; column++) await page.keyboard.press("ArrowRight");
  const hover = page.locator(".monaco-hover:not(.hidden)", { hasText: "reject a manifest without a version" }).first();
  await until(async () => {
    await page.keyboard.press("Control+k");
    await page.keyboard.press("Control+i");
  }, hover);
  await hover.locator("a", { hasText: "whole answer" }).first().click();
  await untilTrue(async () => (await shownText(page)).includes("manifest = parse_manifest({"), "the memory is open");
  await page.locator(".tab", { hasText: "why-does-parse_manifest-reject-a-manifest-without-a-version.md" }).first().waitFor();
});

test("completing a prompt in code inserts it enriched with memory", async (t) => {
  const page = await open(t, "load.py", SOURCE);
  await page.keyboard.press("Control+End");
  await page.keyboard.type("#? why does parse_manifest reject my manifest");
  const row = page.locator(".suggest-widget.visible .monaco-list-row", { hasText: "Prompt with memory" }).first();
  await until(async () => {
    await page.keyboard.press("Escape");
    await page.keyboard.press("Control+Space");
  }, row);
  await row.click();
  await untilTrue(async () => (await shownText(page)).includes("resolver sorts releases by version"), "the memory is in the text");
});

test("without a language model, remembered code goes on with the line that is typed", async (t) => {
  const page = await open(t, "load.py", "");
  await page.keyboard.type("manifest = parse_manifes");
  const ghost = page.locator(".ghost-text-decoration, .ghost-text", { hasText: "demo" }).first();
  await until(async () => {
    await page.keyboard.press("Escape");
    await page.keyboard.press("Backspace");
    await page.keyboard.type("s");
  }, ghost);
  await page.keyboard.press("Tab");
  await untilTrue(async () => (await shownText(page)).includes('parse_manifest({"name": "demo", "version": "0.1"})'), "it is in the text");
  assert.equal(await page.locator(".notification-list-item", { hasText: "no language model" }).count(), 0);
});

test("without a language model, memory alone answers a question and says so", async (t) => {
  const page = await open(t, "load.py", "\n");
  await palette(page, "Remanence: Ask with Memory");
  await answer(page, "Remanence: Ask with Memory", "How do I rotate the backup encryption key without downtime?");
  await notification(page, "no language model is set");
  const lines = page.locator(".editor-instance .view-line");
  await untilTrue(async () => (await lines.allTextContents()).join("\n").includes("retire\u00a0the\u00a0old\u00a0key"), "memory answers");
});

test("a captured selection is in the memory at once", async (t) => {
  const page = await open(t, "answer.md", "The glasshouse vents open at 27 degrees; the relay is on pin 4.");
  await page.keyboard.press("Control+a");
  await palette(page, "Remanence: Capture Selection");
  await answer(page, "Remanence: Capture", "When do the glasshouse vents open?");
  await notification(page, "remembered");
  const [found] = memory.recall("glasshouse vents");
  assert.equal(found.question, "When do the glasshouse vents open?");
  assert.equal(found.answer, "The glasshouse vents open at 27 degrees; the relay is on pin 4.");
  assert.match(found.uri, /^file:.*answer\.md$/);
});

test("recall lists memories and opens the chosen one as a read-only document", async (t) => {
  const page = await open(t, "load.py", "\n");
  await palette(page, "Remanence: Recall");
  await answer(page, "Remanence: Recall", "rotate the backup encryption key");
  await choose(page, "Remanence: Recall", "How do I rotate the backup encryption key");
  await untilTrue(async () => (await shownText(page)).includes("keyctl rotate --grace 72h"), "the memory is shown");
  await editor(page).locator(".view-lines").first().click();
  await page.keyboard.type("x");
  await page.locator(".monaco-editor-overlaymessage", { hasText: "read-only" }).first().waitFor({ timeout: 15_000 });
});

test("a selected prompt is replaced by the enriched one", async (t) => {
  const page = await open(t, "prompt.md", "Why is the ferry timetable import slow?");
  await page.keyboard.press("Control+a");
  await palette(page, "Remanence: Enrich Prompt");
  await choose(page, "Remanence: Enrich Prompt", "Replace the selection");
  const text = await untilTrue(async () => {
    const shown = await shownText(page);
    return shown.includes("in one transaction") && shown;
  }, "the memory is in the prompt");
  assert.ok(text.includes("Why is the ferry timetable import slow?"), text);
});

test("a forgotten memory is gone", async (t) => {
  const page = await open(t, "load.py", "\n");
  assert.equal(memory.recall("glasshouse vents")[0]?.question, "When do the glasshouse vents open?");
  await palette(page, "Remanence: Forget");
  await answer(page, "Remanence: Forget", "glasshouse vents");
  await choose(page, "Remanence: Forget", "When do the glasshouse vents open?");
  await page.keyboard.press("Enter");
  await page.locator(".monaco-dialog-box .monaco-button", { hasText: "Forget" }).first().click();
  await notification(page, "1 memory forgotten");
  assert.deepEqual(memory.recall("glasshouse vents").filter((found) => found.question.includes("glasshouse")), []);
});

test("an import through the palette stores what it reads and says so", async (t) => {
  const row = { question: "Which valve drains the lower lock?", answer: "Valve 7, a quarter turn.", timestamp: "2026-06-01T08:00:00Z" };
  const folder = vscode.workspace({ "more.jsonl": `${JSON.stringify(row)}\n` });
  const page = await open(t, "load.py", "\n");
  await palette(page, "Remanence: Import");
  await choose(page, "Remanence: Import", "A file…");
  await choosePath(page, "Remanence: Import a File", join(folder, "more.jsonl"));
  await notification(page, "the import is done: ");
  assert.equal(memory.recall("which valve drains the lower lock")[0]?.answer, row.answer);
});

test("an assistant that is ticked in sync is read, and only then", async (t) => {
  const page = await open(t, "load.py", "\n");
  const recalled = () => memory.recall("which sluice feeds the mill pond").map((found) => found.answer);
  assert.ok(!recalled().includes("The eastern sluice feeds it."));
  await palette(page, "Remanence: Sync");
  await choose(page, "Remanence: Sync", "Claude Code");
  await page.keyboard.press("Enter");
  await notification(page, "the import is done: ");
  assert.ok(recalled().includes("The eastern sluice feeds it."));
});

test("the status is a document", async (t) => {
  const page = await open(t, "load.py", "\n");
  await palette(page, "Remanence: Status");
  await untilTrue(async () => /\d+ exchanges, \d+ facts/.test(await shownText(page)), "the status is shown");
});

test("a server that cannot start is told plainly, and a better setting starts it", async (t) => {
  const page = await open(t, "load.py", "\n");
  vscode.setMachineSettings({ "remanence.python": "/nowhere/python3" });
  const told = await notification(page, "/nowhere/python3 (remanence.python) cannot be started");
  for (const action of ["Open Settings", "Show Output", "Copy Install Command"]) {
    await told.locator(".monaco-button", { hasText: action }).first().waitFor({ timeout: 5_000 });
  }
  vscode.setMachineSettings({ "remanence.server.command": ["/bin/false"] });
  await notification(page, "ended while it was starting, with exit code 1");
  const started = join(vscode.workspace({}), "started");
  const neverAnswers = ["/bin/sh", "-c", `touch '${started}' && exec sleep 1000`];
  vscode.setMachineSettings({ "remanence.server.command": neverAnswers });
  await untilTrue(() => existsSync(started), "the server that never answers is started");
  vscode.setMachineSettings({ "remanence.python": join(process.env.SERVER_BIN, "python") });
  await until(() => palette(page, "Remanence: Status"), page.locator(".tab", { hasText: "Remanence Status.md" }).first());
  await untilTrue(async () => /\d+ exchanges, \d+ facts/.test(await shownText(page)), "the status is shown");
});
