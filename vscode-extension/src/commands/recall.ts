import * as vscode from "vscode";
import { memoryItem, openMemory, type MemoryItem } from "../memoryDocuments";
import type { Memory } from "../messages";
import { placeOf, selectedText } from "../place";
import type { Server } from "../server";
import { nameOf } from "../wording";
import { oneLine } from "../wording";

const LIMIT = 20;

export async function recall(server: Server): Promise<void> {
  const memories = await askForMemories(server, "Recall");
  if (memories === undefined) {
    return;
  }
  const chosen = await vscode.window.showQuickPick<MemoryItem>(memories.map(memoryItem), {
    title: "Remanence: Recall",
    placeHolder: "Choose a memory to open it",
    matchOnDescription: true,
    matchOnDetail: true,
  });
  if (chosen !== undefined) {
    await openMemory(chosen.memory.id, nameOf(chosen.memory.question));
  }
}

/** Asks what to look for (the selection, to begin with) and recalls; undefined: given up, or nothing was found. */
export async function askForMemories(server: Server, title: string): Promise<Memory[] | undefined> {
  const editor = vscode.window.activeTextEditor;
  const query = await vscode.window.showInputBox({
    title: `Remanence: ${title}`,
    prompt: "What to look for in the memory",
    placeHolder: "how did we fix the flaky upload test last week",
    value: oneLine(selectedText(editor)),
  });
  if (query === undefined || query.trim() === "") {
    return undefined;
  }
  const { memories } = await server.call("remanence.recall", { query, limit: LIMIT, ...placeOf(editor) });
  if (memories.length === 0) {
    void vscode.window.showInformationMessage("Remanence: nothing in the memory matches this.");
    return undefined;
  }
  return memories;
}
