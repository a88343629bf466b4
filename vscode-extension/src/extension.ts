import * as vscode from "vscode";
import { registerCommands } from "./commands/register";
import { tellProblem } from "./problem";
import { interpreterChooser } from "./pythonExtension";
import { Server } from "./server";

/** The server itself follows changes of every other setting. */
const READ_AT_START = ["remanence.server", "remanence.python", "remanence.standalone"];

let server: Server | undefined;

/** Never fails: without a server the commands are there and say what to do. */
export function activate({ subscriptions }: vscode.ExtensionContext): void {
  const output = vscode.window.createOutputChannel("Remanence", { log: true });
  const restartForInterpreter = (): void => {
    if (server?.dependsOnInterpreter === true) {
      void server.restart();
    }
  };
  server = new Server(output, interpreterChooser(subscriptions, restartForInterpreter), (problem) => {
    tellProblem(problem, output);
  });
  registerCommands(subscriptions, server, output);
  subscriptions.push(
    output,
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (READ_AT_START.some((setting) => event.affectsConfiguration(setting))) {
        void server?.restart();
      }
    }),
    vscode.workspace.onDidGrantWorkspaceTrust(restartForInterpreter),
  );
  void server.restart();
}

export function deactivate(): Promise<void> | undefined {
  return server?.stop();
}
