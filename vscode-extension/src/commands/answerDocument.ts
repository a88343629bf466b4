import * as vscode from "vscode";

/** An untitled Markdown document that grows at its end, one edit at a time. */
export class AnswerDocument {
  private waiting = "";
  private writing: Promise<void> = Promise.resolve();
  private busy = false;

  private constructor(
    private readonly document: vscode.TextDocument,
    private readonly editor: vscode.TextEditor,
  ) {}

  /** Opened empty: VS Code shows a document that has content and no editor yet in the active group as well. */
  static async open(heading: string): Promise<AnswerDocument> {
    const document = await vscode.workspace.openTextDocument({ language: "markdown" });
    const editor = await vscode.window.showTextDocument(document, { viewColumn: vscode.ViewColumn.Beside, preview: false, preserveFocus: true });
    const shown = new AnswerDocument(document, editor);
    shown.append(heading);
    return shown;
  }

  /** What comes while an edit is under way goes into the next one. */
  append(text: string): void {
    this.waiting += text;
    if (!this.busy && this.waiting !== "") {
      this.busy = true;
      this.writing = this.write();
    }
  }

  /** Resolves once all that was appended stands in the document, or the document is closed. */
  written(): Promise<void> {
    return this.writing;
  }

  private async write(): Promise<void> {
    try {
      while (this.waiting !== "" && !this.document.isClosed) {
        const text = this.waiting;
        this.waiting = "";
        await this.insert(this.document.lineAt(this.document.lineCount - 1).range.end, text);
      }
    } finally {
      this.busy = false;
    }
  }

  /** Through its editor while that is shown; else as an edit of the workspace, which works behind other tabs. */
  private async insert(end: vscode.Position, text: string): Promise<void> {
    if (vscode.window.visibleTextEditors.includes(this.editor)) {
      const insert = (edit: vscode.TextEditorEdit): void => { edit.insert(end, text); };
      if (await this.editor.edit(insert, { undoStopBefore: false, undoStopAfter: false })) {
        return;
      }
    }
    const edit = new vscode.WorkspaceEdit();
    edit.insert(this.document.uri, end, text);
    await vscode.workspace.applyEdit(edit);
  }
}
