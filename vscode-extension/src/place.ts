import * as vscode from "vscode";

/** Where the user is: what a request may say of it. Untitled documents have no address worth keeping. */
export interface Place {
  readonly uri?: string;
  readonly languageId?: string;
}

export function placeOf(editor: vscode.TextEditor | undefined): Place {
  if (editor === undefined) {
    return {};
  }
  const { uri, languageId } = editor.document;
  return uri.scheme === "file" ? { uri: uri.toString(), languageId } : { languageId };
}

/** The root folder of the project that the editor's document belongs to. */
export function workspaceOf(editor: vscode.TextEditor | undefined): string | undefined {
  const own = editor === undefined ? undefined : vscode.workspace.getWorkspaceFolder(editor.document.uri);
  return (own ?? vscode.workspace.workspaceFolders?.[0])?.uri.fsPath;
}

export function selectedText(editor: vscode.TextEditor | undefined): string {
  return editor === undefined ? "" : editor.document.getText(editor.selection);
}
