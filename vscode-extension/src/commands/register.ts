import * as vscode from "vscode";
import { LSPErrorCodes, ResponseError } from "vscode-languageclient";
import { OPEN_MEMORY } from "../hoverLinks";
import { openMemory } from "../memoryDocuments";
import { SHOW_OUTPUT, tellProblem } from "../problem";
import { reasonOf, ServerUnavailable, type Server } from "../server";
import { showAdapters } from "./adapters";
import { ask, showAnswer } from "./ask";
import { captureExchange, captureSelection } from "./capture";
import { enrichPrompt } from "./enrichPrompt";
import { showDecisions, showFacts } from "./facts";
import { forget } from "./forget";
import { importConversations } from "./importing";
import { cancelJob, showJobs } from "./jobs";
import { showModels } from "./models";
import { recall } from "./recall";
import { statusCommand } from "./status";
import { sync } from "./sync";
import { train } from "./train";

/** The palette's commands. Not named as the server's own, which the language client registers under their names. */
export function registerCommands(
  subscriptions: vscode.ExtensionContext["subscriptions"],
  server: Server,
  output: vscode.LogOutputChannel,
): void {
  const commands: Record<string, () => Promise<void>> = {
    ask: () => ask(server),
    recall: () => recall(server),
    captureSelection: () => captureSelection(server),
    capture: () => captureExchange(server),
    enrichPrompt: () => enrichPrompt(server),
    forget: () => forget(server),
    import: () => importConversations(server),
    sync: () => sync(server),
    status: statusCommand(server, subscriptions),
    models: () => showModels(server),
    facts: () => showFacts(server),
    decisions: () => showDecisions(server),
    train: () => train(server),
    adapters: () => showAdapters(server),
    jobs: () => showJobs(server),
    cancelJob: () => cancelJob(server),
    restartServer: () => server.restart(),
  };
  server.showAnswer = async (request) => {
    try {
      await showAnswer(server, request);
    } catch (error) {
      tell(error, output);
    }
  };
  for (const [name, run] of Object.entries(commands)) {
    const command = async (): Promise<void> => {
      try {
        await run();
      } catch (error) {
        tell(error, output);
      }
    };
    subscriptions.push(vscode.commands.registerCommand(`remanence.ui.${name}`, command));
  }
  subscriptions.push(
    vscode.commands.registerCommand("remanence.ui.showOutput", () => { output.show(); }),
    vscode.commands.registerCommand(OPEN_MEMORY, openMemory), // the link of a hover; not in the palette
  );
}

function tell(error: unknown, output: vscode.LogOutputChannel): void {
  if (error instanceof ServerUnavailable) {
    tellProblem(error.problem, output);
    return;
  }
  if (error instanceof ResponseError && error.code === LSPErrorCodes.RequestCancelled) {
    return;
  }
  output.error(reasonOf(error));
  void vscode.window.showErrorMessage(`Remanence: ${reasonOf(error)}`, SHOW_OUTPUT).then((action) => {
    if (action === SHOW_OUTPUT) {
      output.show();
    }
  });
}
