import * as vscode from "vscode";
import { readTokenBudget } from "../options";
import { placeOf, selectedText } from "../place";
import type { Server } from "../server";

const REPLACE = "Replace the selection";
const COPY = "Copy to the clipboard";
const OPEN = "Open in a new editor";

/** Enriches the selection, or a prompt that is asked for, and puts it where the user chooses. */
export async function enrichPrompt(server: Server): Promise<void> {
  const editor = vscode.window.activeTextEditor;
  const selection = editor?.selection;
  const selected = selectedText(editor);
  const prompt =
    selected ||
    (await vscode.window.showInputBox({ title: "Remanence: Enrich Prompt", prompt: "The prompt to enrich with memories" }));
  if (prompt === undefined || prompt.trim() === "") {
    return;
  }
  const enriched = await server.call("remanence.enrichPrompt", {
    prompt,
    tokenBudget: readTokenBudget(),
    ...placeOf(editor),
  });
  if (enriched.memories.length === 0) {
    void vscode.window.showInformationMessage("Remanence: no memory is relevant to this prompt.");
    return;
  }
  const memories = enriched.memories.length === 1 ? "1 memory" : `${enriched.memories.length} memories`;
  const target = await vscode.window.showQuickPick([...(selected === "" ? [] : [REPLACE]), COPY, OPEN], {
    title: "Remanence: Enrich Prompt",
    placeHolder: `The prompt with ${memories}, about ${enriched.tokens} tokens`,
  });
  if (target === REPLACE && editor !== undefined && selection !== undefined) {
    if (!(await editor.edit((edit) => { edit.replace(selection, enriched.prompt); }))) {
      void vscode.window.showErrorMessage("Remanence: this editor cannot be changed.");
    }
  } else if (target === COPY) {
    await vscode.env.clipboard.writeText(enriched.prompt);
  } else if (target === OPEN) {
    const document = await vscode.workspace.openTextDocument({ language: "markdown", content: enriched.prompt });
    await vscode.window.showTextDocument(document);
  }
}
