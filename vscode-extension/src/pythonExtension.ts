import * as vscode from "vscode";

/** The part of ms-python's API that is used here (its `PythonExtension` type, since 2023). */
interface PythonApi {
  readonly environments: {
    getActiveEnvironmentPath(resource?: vscode.Uri): { readonly path: string };
    resolveEnvironment(environment: {
      readonly path: string;
    }): Promise<{ readonly executable: { readonly uri?: vscode.Uri } } | undefined>;
    readonly onDidChangeActiveEnvironmentPath: vscode.Event<unknown>;
  };
}

/**
 * A function that gives the interpreter chosen in the Python extension, or undefined where there is no such
 * extension or the folder is not trusted; `changed` is called at each other choice once it was asked.
 */
export function interpreterChooser(subscriptions: vscode.ExtensionContext["subscriptions"], changed: () => void): () => Promise<string | undefined> {
  let watched = false;
  return async () => {
    const extension = vscode.extensions.getExtension<PythonApi | undefined>("ms-python.python");
    if (extension === undefined || !vscode.workspace.isTrusted) {
      return undefined;
    }
    const environments = (await extension.activate())?.environments;
    if (environments === undefined) {
      return undefined;
    }
    if (!watched) {
      watched = true;
      subscriptions.push(environments.onDidChangeActiveEnvironmentPath(changed));
    }
    const folder = vscode.workspace.workspaceFolders?.[0]?.uri;
    const resolved = await environments.resolveEnvironment(environments.getActiveEnvironmentPath(folder));
    return resolved?.executable.uri?.fsPath;
  };
}
