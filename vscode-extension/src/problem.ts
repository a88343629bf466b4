import * as vscode from "vscode";
import type { Problem } from "./locate";

const SETTINGS = "Open Settings";
export const SHOW_OUTPUT = "Show Output";
const COPY = "Copy Install Command";

/** Says why there is no server and offers what helps; does not wait for the user. */
export function tellProblem(problem: Problem, output: vscode.LogOutputChannel): void {
  const { message, install } = problem;
  const actions = [SETTINGS, SHOW_OUTPUT, ...(install === undefined ? [] : [COPY])];
  void vscode.window.showErrorMessage(message, ...actions).then(async (action) => {
    if (action === SETTINGS) {
      await vscode.commands.executeCommand("workbench.action.openSettings", "remanence.python remanence.server");
    } else if (action === SHOW_OUTPUT) {
      output.show();
    } else if (action === COPY && install !== undefined) {
      await vscode.env.clipboard.writeText(install);
    }
  });
}
