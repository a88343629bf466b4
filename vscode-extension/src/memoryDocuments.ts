import * as vscode from "vscode";
import type { Memory } from "./messages";

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

/** "today", "3 days ago", "2 months ago": how long before `now` (both epoch milliseconds). */
export function ageOf(at: number, now: number): string {
  const days = Math.floor((now - at) / 86_400_000);
  const ago = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  if (days < 1) {
    return "today";
  }
  if (days < 60) {
    return ago.format(-days, "day");
  }
  return days < 730 ? ago.format(-Math.floor(days / 30), "month") : ago.format(-Math.floor(days / 365), "year");
}

export function oneLine(text: string): string {
  return text.replace(/\s+/g, " ").trim().slice(0, 200);
}
