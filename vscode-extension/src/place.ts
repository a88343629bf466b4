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

export function selectedText(editor: vscode.TextEditor | undefined): string {
  return editor === undefined ? "" : editor.document.getText(editor.selection);
}
