import * as vscode from "vscode";
import type { Memory } from "./messages";
import { ageOf, oneLine } from "./wording";

/** The server gives the text of this scheme's documents (`workspace/textDocumentContent`): one memory each. */
const MEMORY_SCHEME = "remanence";

/** The id finds the memory; the name, if there is one, is what its tab shows. */
export function memoryUri(id: string, name?: string): vscode.Uri {
  return vscode.Uri.from({ scheme: MEMORY_SCHEME, path: name ? `/memory/${id}/${name}.md` : `/memory/${id}.md` });
}

/** The id of the memory that a document shows and the document's name; undefined where it shows none. */
export function memoryOf(uri: vscode.Uri): { id: string; name: string | undefined } | undefined {
  const found = uri.scheme === MEMORY_SCHEME ? /^\/memory\/([^/]+?)(?:\/([^/]+))?\.md$/.exec(uri.path) : null;
  return found?.[1] === undefined ? undefined : { id: found[1], name: found[2] };
}

export async function openMemory(id: string, name?: string): Promise<void> {
  const document = await vscode.workspace.openTextDocument(memoryUri(id, name));
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
