import * as vscode from "vscode";

/** What the server takes as initializationOptions; the settings `remanence.*` have the same names. */
export interface ServerOptions {
  readonly hover: { readonly enabled: boolean; readonly limit: number };
  readonly completion: { readonly enabled: boolean; readonly marks: readonly string[]; readonly tokenBudget: number };
  readonly capture: { readonly transcripts: boolean };
  readonly standalone: boolean;
  readonly logLevel: string;
}

export function readServerOptions(): ServerOptions {
  const settings = vscode.workspace.getConfiguration("remanence");
  // Every setting has its default in package.json; the second argument serves a setting of null alone.
  return {
    hover: { enabled: settings.get("hover.enabled", true), limit: settings.get("hover.limit", 3) },
    completion: {
      enabled: settings.get("completion.enabled", true),
      marks: settings.get<string[]>("completion.marks", []),
      tokenBudget: readTokenBudget(),
    },
    capture: { transcripts: settings.get("capture.transcripts", true) },
    standalone: settings.get("standalone", false),
    logLevel: settings.get("logLevel", "warning"),
  };
}

export function readTokenBudget(): number {
  return vscode.workspace.getConfiguration("remanence").get("completion.tokenBudget", 2000);
}
