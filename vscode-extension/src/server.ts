import { homedir } from "node:os";
import * as vscode from "vscode";
import {
  CloseAction,
  ErrorAction,
  ExecuteCommandRequest,
  LanguageClient,
  RevealOutputChannelOn,
  type LanguageClientOptions,
} from "vscode-languageclient/node";
import { withMemoryLinks } from "./hoverLinks";
import { isProblem, locateServer, type Located, type Problem } from "./locate";
import type { Verbs } from "./messages";
import { readServerOptions } from "./options";

const CRASHES_ALLOWED = 4;
const CRASHES_WITHIN_MS = 180_000;

/** Thrown to a command when there is no server to ask. */
export class ServerUnavailable extends Error {
  constructor(readonly problem: Problem) {
    super(problem.message);
  }
}

/** Tells a failure to us, not in a notification of its own: `Server` says once and plainly what to do. */
class QuietClient extends LanguageClient {
  override error(message: string, data?: unknown): void {
    super.error(message, data, false);
  }
}

/** The language server of this window: started, restarted one at a time, asked. */
export class Server {
  private client: LanguageClient | undefined;
  private problem: Problem | undefined;
  private fromInterpreter = false;
  private crashes: readonly number[] = [];
  private running: Promise<void> = Promise.resolve();
  private waiting: Promise<void> | undefined;

  constructor(
    private readonly output: vscode.LogOutputChannel,
    private readonly chosenInterpreter: () => Promise<string | undefined>,
    private readonly failed: (problem: Problem) => void,
  ) {}

  /** Whether another Python, or trust in the folder, could change which server runs. */
  get dependsOnInterpreter(): boolean {
    return this.fromInterpreter || this.problem !== undefined;
  }

  /** Never rejects: a failure is told to `failed`. Calls made before the restart begins share it. */
  restart(): Promise<void> {
    this.waiting ??= this.running = this.running.then(async () => {
      this.waiting = undefined;
      await this.stopClient();
      await this.startClient();
    });
    return this.running;
  }

  async stop(): Promise<void> {
    await this.running;
    await this.stopClient();
  }

  async call<Verb extends keyof Verbs>(
    verb: Verb,
    request: Verbs[Verb]["takes"],
    token?: vscode.CancellationToken,
  ): Promise<Verbs[Verb]["gives"]> {
    await this.running;
    if (this.client === undefined) {
      throw new ServerUnavailable(this.problem ?? { message: "Remanence: the server is not running." });
    }
    const answer: unknown = await this.client.sendRequest(
      ExecuteCommandRequest.type,
      { command: verb, arguments: [request] },
      token,
    );
    return answer as Verbs[Verb]["gives"];
  }

  private async stopClient(): Promise<void> {
    const client = this.client;
    this.client = undefined;
    if (client === undefined) {
      return;
    }
    try {
      await client.dispose();
    } catch (error) {
      this.output.warn(`the server did not end well: ${String(error)}`);
    }
  }

  private async startClient(): Promise<void> {
    try {
      const found = await this.locate();
      if (isProblem(found)) {
        this.fail(found);
        return;
      }
      this.fromInterpreter = found.fromInterpreter;
      this.output.info(`starting ${found.argv.join(" ")}`);
      const client = this.createClient(found);
      await client.start();
      this.client = client;
      this.problem = undefined;
    } catch (error) {
      this.fail({ message: `Remanence: the server could not be started: ${reasonOf(error)}` });
    }
  }

  private locate(): Promise<Located | Problem> {
    const settings = vscode.workspace.getConfiguration("remanence");
    const wishes = {
      command: settings.get<string[]>("server.command", []),
      python: settings.get("python", ""),
      chosenInterpreter: this.chosenInterpreter,
    };
    return locateServer(wishes, process.env);
  }

  private createClient(found: Located): LanguageClient {
    const [command, ...args] = found.argv;
    // The home folder: with the open folder as its own, a `python -m` would import modules lying there.
    const run = { command, args, options: { cwd: homedir() } };
    const options: LanguageClientOptions = {
      documentSelector: [{ scheme: "file" }, { scheme: "untitled" }, { scheme: "vscode-notebook-cell" }],
      initializationOptions: readServerOptions(),
      outputChannel: this.output,
      traceOutputChannel: this.output,
      revealOutputChannelOn: RevealOutputChannelOn.Never,
      initializationFailedHandler: () => false,
      middleware: {
        provideHover: async (document, position, token, next) => withMemoryLinks(await next(document, position, token)),
      },
      errorHandler: {
        error: (_error, _message, count) => ({ action: (count ?? 0) <= 3 ? ErrorAction.Continue : ErrorAction.Shutdown }),
        closed: () => {
          this.closed(client);
          return { action: CloseAction.DoNotRestart, handled: true };
        },
      },
    };
    const client = new QuietClient("remanence", "Remanence", run, options);
    return client;
  }

  /** The server's process is gone without our asking. While it was starting, `startClient` tells. */
  private closed(client: LanguageClient): void {
    if (client !== this.client) {
      return;
    }
    this.client = undefined;
    const now = Date.now();
    this.crashes = [...this.crashes.filter((at) => now - at < CRASHES_WITHIN_MS), now];
    if (this.crashes.length > CRASHES_ALLOWED) {
      this.fail({ message: "Remanence: the server ended again and again and is not started any more. The output says why." });
    } else {
      this.output.warn("the server ended unexpectedly and is started again");
      void this.restart();
    }
  }

  private fail(problem: Problem): void {
    this.problem = problem;
    this.output.error(problem.message);
    this.failed(problem);
  }
}

export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
