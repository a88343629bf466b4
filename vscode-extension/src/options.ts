import * as vscode from "vscode";

/** What the server takes as initializationOptions; the settings `remanence.*` have the same names. */
export interface ServerOptions {
  readonly hover: { readonly enabled: boolean; readonly limit: number; readonly model: boolean; readonly modelMs: number };
  readonly completion: {
    readonly enabled: boolean;
    readonly marks: readonly string[];
    readonly tokenBudget: number;
    readonly model: boolean;
  };
  readonly inlineCompletion: { readonly enabled: boolean; readonly debounceMs: number; readonly maxTokens: number };
  readonly ask: { readonly tokenBudget: number; readonly maxTokens: number; readonly remember: boolean };
  readonly capture: { readonly transcripts: boolean };
  readonly standalone: boolean;
  readonly logLevel: string;
}

export function readServerOptions(): ServerOptions {
  const settings = vscode.workspace.getConfiguration("remanence");
  // Every setting has its default in package.json; the second argument serves a setting of null alone.
  return {
    hover: {
      enabled: settings.get("hover.enabled", true),
      limit: settings.get("hover.limit", 3),
      model: settings.get("hover.model", false),
      modelMs: settings.get("hover.modelMs", 1000),
    },
    completion: {
      enabled: settings.get("completion.enabled", true),
      marks: settings.get<string[]>("completion.marks", []),
      tokenBudget: readTokenBudget(),
      model: settings.get("completion.model", false),
    },
    inlineCompletion: {
      enabled: settings.get("inlineCompletion.enabled", true),
      debounceMs: settings.get("inlineCompletion.debounceMs", 150),
      maxTokens: settings.get("inlineCompletion.maxTokens", 96),
    },
    ask: {
      tokenBudget: settings.get("ask.tokenBudget", 0),
      maxTokens: settings.get("ask.maxTokens", 1024),
      remember: settings.get("ask.remember", true),
    },
    capture: { transcripts: settings.get("capture.transcripts", true) },
    standalone: settings.get("standalone", false),
    logLevel: settings.get("logLevel", "warning"),
  };
}

export function readTokenBudget(): number {
  return vscode.workspace.getConfiguration("remanence").get("completion.tokenBudget", 2000);
}
