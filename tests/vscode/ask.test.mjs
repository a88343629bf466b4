// Questions, proposals and code actions in a real VS Code, with a language model behind a server on this machine.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { startEndpoint } from "./endpoint.mjs";
import { startVSCode } from "./harness.mjs";
import { createMemory } from "./memory.mjs";
import { answer, choose, focusEditor, notification, palette, until, untilTrue } from "./window.mjs";

const DEMO = join(import.meta.dirname, "demo.jsonl");
let endpoint, memory, vscode;

before(async () => {
  endpoint = await startEndpoint();
  memory = createMemory();
  writeFileSync(
    join(memory.home, "settings.toml"),
    `[language_models]\nuse = "mill"\n[language_models.models.mill]\nurl = "${endpoint.url}"\nmodel = "mill-1"\n`,
  );
  await memory.import(DEMO);
  const path = `${process.env.SERVER_BIN}:${process.env.PATH}`;
  vscode = await startVSCode({ vsix: process.env.VSIX, env: { REMANENCE_HOME: memory.home, PATH: path } });
}, { timeout: 240_000 });

after(async () => {
  await vscode?.stop();
  memory?.remove();
  endpoint?.stop();
});

async function open(t, name, text) {
  const page = await vscode.open(vscode.workspace({ [name]: text }), name);
  t.after(async () => {
    if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/${t.name.replace(/\W+/g, "_")}.png` });
    await page.context().close();
  });
  await focusEditor(page);
  return page;
}

/** The text of every editor that is shown. */
async function shown(page) {
  const lines = await page.locator(".editor-instance .view-line").allTextContents();
  return lines.join("\n").replaceAll("\u00a0", " ");
}

test("an answer streams into an untitled document and becomes a memory", async (t) => {
  endpoint.answer = "Because the resolver sorts the releases. ".repeat(10) + "That is all.";
  const page = await open(t, "load.py", "x = 1\n");
  await palette(page, "Remanence: Ask with Memory");
  await answer(page, "Remanence: Ask with Memory", "why does parse_manifest want a version?");
  await untilTrue(async () => (await shown(page)).includes("Because the resolver"), "the answer begins");
  assert.ok(!(await shown(page)).includes("That is all."), "it is still being written");
  await untilTrue(async () => /That is all\.[\s\S]*mill · \d+ memor/.test(await shown(page)), "the answer ends");
  assert.equal(await page.locator(".tab", { hasText: "why does parse_manifest" }).count(), 1);
  assert.ok(JSON.stringify(endpoint.asked.at(-1)).includes("resolver sorts releases by version"), "memory went along");
  const [found] = memory.recall("why does parse_manifest want a version?").filter((each) => each.tool === "remanence");
  assert.match(found.answer, /^Because the resolver/);
});

test("cancelling ends the answer", async (t) => {
  endpoint.answer = "tick ".repeat(5000);
  const page = await open(t, "load.py", "x = 1\n");
  await palette(page, "Remanence: Ask with Memory");
  await answer(page, "Remanence: Ask with Memory", "tick for ever");
  await untilTrue(async () => (await shown(page)).includes("tick tick"), "the answer begins");
  const told = await notification(page, "asking with memory");
  await told.locator(".monaco-button", { hasText: "Cancel" }).first().click();
  await untilTrue(async () => (await shown(page)).includes("cancelled"), "the document says so");
  await untilTrue(() => endpoint.listening === 0, "the server is no longer listened to");
});

test("a symbol is explained from the menu of code actions", async (t) => {
  endpoint.answer = "It reads the manifest of a release.";
  const page = await open(t, "load.py", "manifest = parse_manifest(path)\n");
  await page.keyboard.press("Control+Home");
  for (let column = 0; column < 14; column++) await page.keyboard.press("ArrowRight");
  const action = page.locator(".action-widget .monaco-list-row", { hasText: "Explain with memory" }).first();
  await until(async () => {
    await page.keyboard.press("Escape");
    await page.keyboard.press("Control+.");
  }, action);
  await action.click();
  await untilTrue(async () => /# Explain `parse_manifest`[\s\S]*It reads the manifest/.test(await shown(page)), "it is explained");
});

test("what the model proposes is accepted with Tab, and its memories are said to have helped", async (t) => {
  endpoint.answer = "({\"name\": \"mill\"})";
  const page = await open(t, "load.py", "");
  await page.keyboard.type("manifest = parse_manifest");
  const ghost = page.locator(".ghost-text-decoration, .ghost-text", { hasText: "mill" }).first();
  await until(async () => {
    await page.keyboard.press("Escape");
    await page.keyboard.press("Backspace");
    await page.keyboard.type("t");
  }, ghost);
  await page.keyboard.press("Tab");
  await untilTrue(async () => (await shown(page)).includes('parse_manifest({"name": "mill"})'), "it is in the text");
  assert.equal(await page.locator(".notification-list-item", { hasText: "rror" }).count(), 0);
});

test("the language models are listed", async (t) => {
  const page = await open(t, "load.py", "\n");
  await palette(page, "Remanence: Language Models");
  await choose(page, "Remanence: Language Models", "mill (asked by default)");
});
