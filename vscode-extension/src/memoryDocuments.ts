import * as vscode from "vscode";
import type { Memory } from "./messages";
import { ageOf, oneLine } from "./wording";

/** The server gives the text of this scheme's documents (`workspace/textDocumentContent`): one memory each. */
const MEMORY_SCHEME = "remanence";

export function memoryUri(id: string): vscode.Uri {
  return vscode.Uri.from({ scheme: MEMORY_SCHEME, path: `/memory/${id}.md` });
}

/** The id of the memory that a document shows, or undefined where it shows none. */
export function memoryIdOf(uri: vscode.Uri): string | undefined {
  return uri.scheme === MEMORY_SCHEME ? /^\/memory\/([^/]+)\.md$/.exec(uri.path)?.[1] : undefined;
}

export async function openMemory(id: string): Promise<void> {
  const document = await vscode.workspace.openTextDocument(memoryUri(id));
  await vscode.window.showTextDocument(document, { preview: true });
}

export interface MemoryItem extends vscode.QuickPickItem {
  readonly memory: Memory;
}

/** One line for the question; beside it how old it is and where it comes from; under it the excerpt. */
export function memoryItem(memory: Memory): MemoryItem {
  const about = [memory.askedAt === null ? undefined : ageOf(memory.askedAt, Date.now()), memory.tool, memory.model ?? undefined];
  return {
    label: oneLine(memory.question),
    description: about.filter((part) => part !== undefined).join(" · "),
    detail: oneLine(memory.excerpt),
    memory,
  };
}
