import * as vscode from "vscode";
import { memoryOf, memoryItem, type MemoryItem } from "../memoryDocuments";
import type { Server } from "../server";
import { askForMemories } from "./recall";

const FORGET = "Forget";

/** Forgets the memory that is open in the editor, or those chosen among what a query recalls. */
export async function forget(server: Server): Promise<void> {
  const open = vscode.window.activeTextEditor?.document.uri;
  const openId = open === undefined ? undefined : memoryOf(open)?.id;
  const ids = openId === undefined ? await askForIds(server) : [openId];
  if (ids.length === 0) {
    return;
  }
  const what = ids.length === 1 ? "this memory" : `these ${ids.length} memories`;
  const answer = await vscode.window.showWarningMessage(
    `Forget ${what}?`,
    { modal: true, detail: "What is forgotten is deleted everywhere and does not come back with a later import." },
    FORGET,
  );
  if (answer !== FORGET) {
    return;
  }
  // The server itself asks what to do about adapters that had learned it.
  const { forgotten } = await server.call("remanence.forget", { ids });
  const count = forgotten === 1 ? "1 memory" : `${forgotten} memories`;
  void vscode.window.showInformationMessage(`Remanence: ${count} forgotten.`);
}

async function askForIds(server: Server): Promise<string[]> {
  const memories = await askForMemories(server, "Forget");
  if (memories === undefined) {
    return [];
  }
  const chosen = await vscode.window.showQuickPick<MemoryItem>(memories.map(memoryItem), {
    title: "Remanence: Forget",
    placeHolder: "Tick what to forget",
    canPickMany: true,
    matchOnDetail: true,
  });
  return (chosen ?? []).map((item) => item.memory.id);
}
