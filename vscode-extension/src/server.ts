import { randomUUID } from "node:crypto";
import { env } from "node:process";
import * as vscode from "vscode";
import {
  CloseAction,
  ErrorAction,
  ExecuteCommandRequest,
  LanguageClient,
  ProgressType,
  RevealOutputChannelOn,
  type LanguageClientOptions,
} from "vscode-languageclient/node";
import { withMemoryLinks } from "./hoverLinks";
import { isProblem, locateServer, type Located, type Problem } from "./locate";
import type { AskRequest, AskResponse } from "./modelMessages";
import { readServerOptions } from "./options";
import { discard, endInTime, launch, type ServerProcess } from "./serverProcess";
import type { Verbs } from "./verbs";

/** What comes of an answer while it is being written: more of its text, or in words what is waited for. */
export interface AnswerPart {
  readonly answer?: string;
  readonly state?: string;
}

const ANSWER_PART = new ProgressType<AnswerPart>();
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
  private process: ServerProcess | undefined;
  private problem: Problem | undefined;
  private fromInterpreter = false;
  private crashes: readonly number[] = [];
  private running: Promise<void> = Promise.resolve();
  private waiting: Promise<void> | undefined;

  /** Takes over a question whose answer the server was to show: a code action's. */
  showAnswer: ((request: AskRequest) => Promise<void>) | undefined;

  constructor(
    private readonly output: vscode.LogOutputChannel,
    private readonly chosenInterpreter: () => Promise<string | undefined>,
    private readonly failed: (problem: Problem) => void,
  ) {}

  /** Whether another Python, or trust in the folder, could change which server runs. */
  get dependsOnInterpreter(): boolean {
    return this.fromInterpreter || this.problem !== undefined;
  }

  /**
   * Never rejects: a failure is told to `failed`. Calls made before the restart begins share it; a start that is
   * under way is given up.
   */
  restart(): Promise<void> {
    this.giveUpStart();
    this.waiting ??= this.running = this.running.then(async () => {
      this.waiting = undefined;
      await this.stopClient();
      await this.startClient();
    });
    return this.running;
  }

  async stop(): Promise<void> {
    this.giveUpStart();
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

  /** As `call`, with the answer's parts as they come. Cancelling ends the generation. */
  async ask(
    request: AskRequest,
    part: (part: AnswerPart) => void,
    token: vscode.CancellationToken,
  ): Promise<AskResponse> {
    await this.running;
    const client = this.client;
    if (client === undefined) {
      return await this.call("remanence.ask", request, token); // which says why there is no server
    }
    const partialResultToken = randomUUID();
    const listening = client.onProgress(ANSWER_PART, partialResultToken, part);
    try {
      const params = { command: "remanence.ask", arguments: [request], partialResultToken };
      const answer: unknown = await client.sendRequest(ExecuteCommandRequest.type, params, token);
      return answer as AskResponse;
    } finally {
      listening.dispose();
    }
  }

  private giveUpStart(): void {
    if (this.client === undefined) {
      this.process?.kill("SIGKILL"); // the start that waits for it rejects
    }
  }

  private async stopClient(): Promise<void> {
    const { client, process } = this;
    this.client = undefined;
    this.process = undefined;
    if (client === undefined || process === undefined) {
      return;
    }
    endInTime(process);
    try {
      await client.dispose();
    } catch (error) {
      this.output.warn(`the server did not end well: ${reasonOf(error)}`);
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
      const process = await launch(found.argv);
      this.process = process;
      const client = this.createClient(process);
      await client.start();
      this.client = client;
      this.problem = undefined;
    } catch (error) {
      await this.startFailed(error);
    }
  }

  private async startFailed(error: unknown): Promise<void> {
    const process = this.process;
    this.process = undefined;
    const code = process === undefined ? null : await discard(process);
    if (this.waiting === undefined) {
      const how = code === null ? "could not be started" : `ended while it was starting, with exit code ${code}`;
      this.fail({ message: `Remanence: the server ${how}: ${reasonOf(error)}. The output may say more.` });
    }
  }

  private locate(): Promise<Located | Problem> {
    const settings = vscode.workspace.getConfiguration("remanence");
    const wishes = {
      command: settings.get<string[]>("server.command", []),
      python: settings.get("python", ""),
      chosenInterpreter: () =>
        this.chosenInterpreter().catch((error: unknown) => {
          this.output.warn(`the Python extension does not say which interpreter it uses: ${reasonOf(error)}`);
          return undefined;
        }),
    };
    return locateServer(wishes, env);
  }

  private createClient(process: ServerProcess): LanguageClient {
    const options: LanguageClientOptions = {
      documentSelector: [{ scheme: "file" }, { scheme: "untitled" }, { scheme: "vscode-notebook-cell" }],
      initializationOptions: readServerOptions(),
      outputChannel: this.output,
      traceOutputChannel: this.output,
      revealOutputChannelOn: RevealOutputChannelOn.Never,
      initializationFailedHandler: () => false,
      middleware: {
        executeCommand: async (command, args, next) => {
          if (command === "remanence.ask" && this.showAnswer !== undefined) {
            const { show, ...request } = { ...(args as [(AskRequest & { show?: boolean })?])[0] };
            if (show === true && request.prompt !== undefined) {
              return this.showAnswer({ ...request, prompt: request.prompt });
            }
          }
          return (await next(command, args)) as unknown;
        },
        provideHover: async (document, position, token, next) => withMemoryLinks(await next(document, position, token)),
      },
      errorHandler: {
        error: (_error, _message, count) => ({ action: (count ?? 0) <= 3 ? ErrorAction.Continue : ErrorAction.Shutdown }),
        closed: () => {
          this.closed(client);
          return { action: CloseAction.DoNotRestart, handled: true, message: "the server's connection is closed" };
        },
      },
    };
    const client = new QuietClient("remanence", "Remanence", () => Promise.resolve(process), options);
    return client;
  }

  /** The server's process is gone without our asking. While it was starting, `startClient` tells. */
  private closed(client: LanguageClient): void {
    if (client !== this.client) {
      return;
    }
    this.client = undefined;
    this.process = undefined;
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
