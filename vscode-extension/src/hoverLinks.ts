import * as vscode from "vscode";
import { memoryOf } from "./memoryDocuments";

/** Opens the memory whose id it is given, in a document of the name it is given. */
export const OPEN_MEMORY = "remanence.ui.openMemory";

const LINK = /\]\((remanence:[^()\s]+)\)/g;

/**
 * VS Code takes links of schemes it does not know out of hovers: the server's links to memories become calls of one
 * command, the only one that such a hover may call.
 */
export function withMemoryLinks(hover: vscode.Hover | null | undefined): vscode.Hover | null | undefined {
  for (const content of hover?.contents ?? []) {
    if (content instanceof vscode.MarkdownString) {
      content.value = content.value.replace(LINK, (whole, target: string) => {
        const memory = memoryOf(vscode.Uri.parse(target));
        if (memory === undefined) {
          return whole;
        }
        const call = encodeURIComponent(JSON.stringify([memory.id, memory.name]));
        return `](command:${OPEN_MEMORY}?${call})`;
      });
      content.isTrusted = { enabledCommands: [OPEN_MEMORY] };
    }
  }
  return hover;
}
