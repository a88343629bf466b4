import * as vscode from "vscode";
import { openMemory } from "../memoryDocuments";
import type { CaptureResponse } from "../messages";
import { placeOf, selectedText } from "../place";
import type { Server } from "../server";
import { oneLine } from "../wording";

/** The selection is the answer, or the clipboard where nothing is selected. */
export async function captureSelection(server: Server): Promise<void> {
  const editor = vscode.window.activeTextEditor;
  const answer = selectedText(editor) || (await vscode.env.clipboard.readText());
  if (answer.trim() === "") {
    void vscode.window.showInformationMessage("Remanence: select the answer, or copy it, and call the command again.");
    return;
  }
  const question = await askForQuestion(`The answer: ${oneLine(answer).slice(0, 80)}`);
  if (question !== undefined) {
    await capture(server, editor, question, answer);
  }
}

interface AnswerItem extends vscode.QuickPickItem {
  readonly answer?: string;
}

/** Asks for the question, then where the answer is: selected, copied, or typed in. */
export async function captureExchange(server: Server): Promise<void> {
  const editor = vscode.window.activeTextEditor;
  const question = await askForQuestion("What was asked");
  if (question === undefined) {
    return;
  }
  const items: AnswerItem[] = [];
  for (const [label, answer] of [
    ["Selection", selectedText(editor)],
    ["Clipboard", await vscode.env.clipboard.readText()],
  ] as const) {
    if (answer.trim() !== "") {
      items.push({ label, detail: oneLine(answer), answer });
    }
  }
  items.push({ label: "Type the answer…" });
  const chosen = await vscode.window.showQuickPick(items, { title: "Remanence: Capture", placeHolder: "Which answer" });
  if (chosen === undefined) {
    return;
  }
  const answer = chosen.answer ?? (await vscode.window.showInputBox({ title: "Remanence: Capture", prompt: "The answer" }));
  if (answer !== undefined && answer.trim() !== "") {
    await capture(server, editor, question, answer);
  }
}

async function askForQuestion(prompt: string): Promise<string | undefined> {
  const question = await vscode.window.showInputBox({
    title: "Remanence: Capture",
    prompt,
    placeHolder: "The question that it answers",
    validateInput: (text) => (text.trim() === "" ? "A memory needs its question." : undefined),
  });
  return question?.trim();
}

async function capture(
  server: Server,
  editor: vscode.TextEditor | undefined,
  question: string,
  answer: string,
): Promise<void> {
  const captured = await server.call("remanence.capture", {
    question,
    answer,
    askedAt: Date.now(),
    ...placeOf(editor),
  });
  const actions = captured.status === "ignored" ? [] : ["Open"];
  if ((await vscode.window.showInformationMessage(saying(captured), ...actions)) === "Open") {
    await openMemory(captured.id);
  }
}

function saying({ status, redactions, reason }: CaptureResponse): string {
  const words = {
    stored: "Remanence: remembered.",
    updated: "Remanence: the memory was brought up to date.",
    duplicate: "Remanence: this was remembered already.",
    ignored: `Remanence: not remembered${reason === null ? "." : `: ${reason}`}`,
  }[status];
  return redactions.length === 0 ? words : `${words} Taken out before storing: ${redactions.join(", ")}.`;
}
