import * as vscode from "vscode";
import type { AskRequest, AskResponse } from "../modelMessages";
import { placeOf, selectedText } from "../place";
import type { Server } from "../server";
import { fenced, oneLine } from "../wording";
import { AnswerDocument } from "./answerDocument";

/** Asks for a question, about the selection if there is one, and streams the answer into an untitled document. */
export async function ask(server: Server): Promise<void> {
  const editor = vscode.window.activeTextEditor;
  const selected = selectedText(editor);
  const question = await vscode.window.showInputBox({
    title: "Remanence: Ask with Memory",
    prompt: selected === "" ? "What to ask the language model" : `About the selection: ${oneLine(selected).slice(0, 80)}`,
    placeHolder: "why did we cap the retry delay at a minute",
  });
  if (question === undefined || question.trim() === "") {
    return;
  }
  const about = selected.trim() === "" ? "" : `\n\n${fenced(selected, editor?.document.languageId ?? "")}`;
  await showAnswer(server, { prompt: `${question.trim()}${about}`, ...placeOf(editor) });
}

/** Streams the answer to a question into an untitled Markdown document beside the editor. */
export async function showAnswer(server: Server, request: AskRequest): Promise<void> {
  const shown = await AnswerDocument.open(`# ${oneLine(request.prompt)}\n\n`);
  const options = { location: vscode.ProgressLocation.Notification, title: "Remanence: asking with memory", cancellable: true };
  const end = await vscode.window.withProgress(options, async (progress, token) => {
    try {
      return await server.ask(
        request,
        (part) => {
          if (part.state !== undefined) {
            progress.report({ message: part.state });
          }
          shown.append(part.answer ?? "");
        },
        token,
      );
    } catch (error) {
      if (token.isCancellationRequested) {
        shown.append("\n\n*cancelled*\n");
        return undefined;
      }
      throw error;
    } finally {
      await shown.written();
    }
  });
  if (end !== undefined) {
    // Without a model nothing is streamed: memory's answer comes whole.
    shown.append(end.model === null ? `${end.answer}${ending(end)}` : ending(end));
    await shown.written();
  }
}

function ending({ answer, memories, model, degraded }: AskResponse): string {
  const used = memories.length === 1 ? "1 memory" : `${memories.length} memories`;
  const nothing = answer.trim() === "" ? "nothing is remembered about this" : undefined;
  const facts = [nothing, model ?? undefined, memories.length === 0 ? undefined : used, degraded ?? undefined];
  return `\n\n---\n*${facts.filter((fact) => fact !== undefined).join(" · ")}*\n`;
}
