import * as vscode from "vscode";
import type { StatusResponse } from "../messages";
import type { Server } from "../server";
import { ageOf } from "../wording";

const STATUS_SCHEME = "remanence-status";
const STATUS_URI = vscode.Uri.from({ scheme: STATUS_SCHEME, path: "/Remanence Status.md" });

/** Shows the server's status as a read-only Markdown document; each call brings it up to date. */
export function statusCommand(server: Server, subscriptions: vscode.ExtensionContext["subscriptions"]): () => Promise<void> {
  const changed = new vscode.EventEmitter<vscode.Uri>();
  const provider: vscode.TextDocumentContentProvider = {
    onDidChange: changed.event,
    provideTextDocumentContent: async (_uri, token) => statusText(await server.call("remanence.status", {}, token)),
  };
  subscriptions.push(changed, vscode.workspace.registerTextDocumentContentProvider(STATUS_SCHEME, provider));
  return async () => {
    const document = await vscode.workspace.openTextDocument(STATUS_URI);
    changed.fire(STATUS_URI);
    await vscode.window.showTextDocument(document, { preview: true });
  };
}

function statusText(status: StatusResponse): string {
  const now = Date.now();
  const blocks = [
    ["# Remanence"],
    status.degraded === null ? [] : [`**Degraded:** ${status.degraded}`],
    status.warning === null ? [] : [`**Warning:** ${status.warning}`],
    [
      `- ${status.exchanges} exchanges, ${status.facts} facts`,
      `- ${waiting(status)}`,
      `- Database: ${megabytes(status.databaseBytes)} in ${status.home}`,
      `- Embedder: ${status.embedder}`,
      ...(status.learning === null ? [] : [`- Learning: ${status.learning}`]),
    ],
    ...section(
      "Indexes",
      status.indexes.map((index) => `${index.name}: ${index.state}, ${index.items} items, ${megabytes(index.bytes)}`),
    ),
    ...section(
      "Sources",
      status.sources.map((source) => {
        const synced = source.lastSyncedAt === null ? "" : `, synced ${ageOf(source.lastSyncedAt, now)}`;
        return `${source.title}: ${source.enabled ? "on" : "off"}, ${source.found} found${synced}`;
      }),
    ),
    ...section(
      "Processes",
      status.processes.map((process) => `${process.name}: pid ${process.pid}, ${process.rssMb.toFixed(0)} MB`),
    ),
    ...section(
      "Versions",
      Object.entries(status.versions).map(([name, version]) => `${name} ${version}`),
    ),
  ];
  const shown = blocks.filter((lines) => lines.length > 0);
  return `${shown.map((lines) => lines.join("\n")).join("\n\n")}\n`;
}

function section(title: string, items: string[]): string[][] {
  return items.length === 0 ? [] : [[`## ${title}`], items.map((item) => `- ${item}`)];
}

function waiting({ pending, pendingBy }: StatusResponse): string {
  const by = `${pendingBy.embedding} for a vector, ${pendingBy.keywords} for keywords, ${pendingBy.indexing} for an index`;
  return pending === 0 ? "Nothing waits to be indexed" : `${pending} wait to be indexed: ${by}`;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}
