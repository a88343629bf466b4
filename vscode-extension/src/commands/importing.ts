import * as vscode from "vscode";
import type { Server } from "../server";
import { endOf, tellImported } from "./followJob";

const FILE = "A file…";
const FOLDER = "A folder…";

/** Imports one file or folder of conversations; the server recognises the format. */
export async function importConversations(server: Server): Promise<void> {
  // One dialog cannot offer both files and folders on Linux and Windows.
  const kind = await vscode.window.showQuickPick([FILE, FOLDER], {
    title: "Remanence: Import",
    placeHolder: "Where are the conversations?",
  });
  if (kind === undefined) {
    return;
  }
  const chosen = await vscode.window.showOpenDialog({
    title: kind === FILE ? "Remanence: Import a File" : "Remanence: Import a Folder",
    openLabel: "Import",
    canSelectFiles: kind === FILE,
    canSelectFolders: kind === FOLDER,
  });
  const path = chosen?.[0]?.fsPath;
  if (path === undefined) {
    return;
  }
  const { jobId } = await server.call("remanence.import", { path });
  tellImported(await endOf(server, jobId), "the import");
}
