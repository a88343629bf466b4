import * as vscode from "vscode";
import type { AdapterFigures, AdaptersRequest } from "../learningMessages";
import type { Server } from "../server";
import { adapterOf, comparisonOf } from "../wording";
import { endOf } from "./followJob";
import { tellLearned } from "./train";

const TITLE = "Remanence: Adapters";

interface AdapterItem extends vscode.QuickPickItem {
  readonly adapter: AdapterFigures;
}

interface ActionItem extends vscode.QuickPickItem {
  readonly run: (server: Server, adapter: AdapterFigures, others: AdapterFigures[]) => Promise<void>;
}

/** Lists the adapters; the one that is chosen is put on or taken off, compared, merged, evaluated, exported, deleted. */
export async function showAdapters(server: Server): Promise<void> {
  const { adapters } = await server.call("remanence.adapters", {});
  if (adapters.length === 0) {
    void vscode.window.showInformationMessage("Remanence: there are no adapters. “Train…” makes one.");
    return;
  }
  const adapter = await pick(adapters, "Choose an adapter");
  if (adapter === undefined) {
    return;
  }
  const others = adapters.filter((each) => each.id !== adapter.id);
  const action = await vscode.window.showQuickPick(actionsFor(adapter, others), { title: `${TITLE}: ${adapter.id}` });
  await action?.run(server, adapter, others);
}

function actionsFor(adapter: AdapterFigures, others: AdapterFigures[]): ActionItem[] {
  const isActive = adapter.state === "active";
  const beside = others.filter((each) => each.base === adapter.base && each.purpose === adapter.purpose);
  const actions: (ActionItem | false)[] = [
    !isActive && { label: "Activate", detail: adapter.reasons[0] ?? "", run: activate },
    isActive && { label: "Deactivate", detail: "The bare model answers", run: simply("deactivate") },
    isActive && { label: "Roll back", detail: "To what was active before", run: simply("rollback") },
    adapter.state === "outdated" && { label: "Train again without what was forgotten", run: retrain },
    { label: "Evaluate again", detail: "On what holds now", run: evaluate },
    others.length > 0 && { label: "Compare with…", run: compare },
    beside.length > 0 && { label: "Merge with…", detail: "A new adapter, evaluated before it may be activated", run: merge },
    { label: "Export…", detail: "For llama.cpp, LM Studio, Ollama", run: exportAdapter },
    !isActive && { label: "Delete…", run: remove },
  ];
  return actions.filter((action) => action !== false);
}

async function activate(server: Server, { id, state, reasons }: AdapterFigures): Promise<void> {
  if (state !== "refused" && state !== "outdated") {
    await tellNote(server, { action: "activate", id });
    return;
  }
  const why = state === "refused" ? "It did not pass its evaluation." : "It learned something that was forgotten since.";
  const detail = [why, ...reasons].join("\n");
  const answer = await vscode.window.showWarningMessage(`Activate ${id} anyway?`, { modal: true, detail }, "Activate");
  if (answer !== undefined) {
    await tellNote(server, { action: "activate", id, force: true });
  }
}

function simply(action: "deactivate" | "rollback"): ActionItem["run"] {
  return (server, { id }) => tellNote(server, { action, id });
}

async function retrain(server: Server, { id }: AdapterFigures): Promise<void> {
  const { jobId } = await server.call("remanence.train", { insteadOf: id });
  await told(server, jobId);
}

async function evaluate(server: Server, { id }: AdapterFigures): Promise<void> {
  const { jobId } = await server.call("remanence.evaluate", { id });
  await told(server, jobId);
}

async function compare(server: Server, { id }: AdapterFigures, others: AdapterFigures[]): Promise<void> {
  const other = await pick(others, `Compare ${id} with`);
  if (other !== undefined) {
    const { adapters, note } = await server.call("remanence.adapters", { action: "compare", id, other: other.id });
    const content = comparisonOf(adapters, note);
    const document = await vscode.workspace.openTextDocument({ language: "markdown", content });
    await vscode.window.showTextDocument(document, { preview: true });
  }
}

async function merge(server: Server, adapter: AdapterFigures, others: AdapterFigures[]): Promise<void> {
  const beside = others.filter((each) => each.base === adapter.base && each.purpose === adapter.purpose);
  const other = await pick(beside, `Merge ${adapter.id} with`);
  if (other !== undefined) {
    const { jobId } = await server.call("remanence.adapters", { action: "merge", id: adapter.id, other: other.id });
    await told(server, jobId);
  }
}

async function exportAdapter(server: Server, { id }: AdapterFigures): Promise<void> {
  const formats = [
    { label: "lora", detail: "A GGUF LoRA beside its base model" },
    { label: "modelfile", detail: "For `ollama create`" },
  ] as const;
  const format = await vscode.window.showQuickPick(formats, { title: `${TITLE}: Export ${id}` });
  if (format === undefined) {
    return;
  }
  const chosen = await vscode.window.showOpenDialog({ title: "Remanence: Export to", openLabel: "Export", canSelectFiles: false, canSelectFolders: true });
  const path = chosen?.[0]?.fsPath;
  if (path !== undefined) {
    await tellNote(server, { action: "export", id, path, format: format.label });
  }
}

async function remove(server: Server, { id }: AdapterFigures): Promise<void> {
  const answer = await vscode.window.showWarningMessage(`Delete the adapter ${id} and its files?`, { modal: true }, "Delete");
  if (answer !== undefined) {
    await tellNote(server, { action: "delete", id });
  }
}

async function tellNote(server: Server, request: AdaptersRequest): Promise<void> {
  const { note, files } = await server.call("remanence.adapters", request);
  const written = files.length === 0 ? "" : ` Written: ${files.join(", ")}.`;
  void vscode.window.showInformationMessage(`Remanence: ${note ?? "done."}${written}`);
}

/** The server itself shows the progress of the job. */
async function told(server: Server, jobId: string | null): Promise<void> {
  if (jobId !== null) {
    tellLearned(await endOf(server, jobId));
  }
}

async function pick(adapters: AdapterFigures[], placeHolder: string): Promise<AdapterFigures | undefined> {
  const items: AdapterItem[] = adapters.map((adapter) => ({ ...adapterOf(adapter, Date.now()), adapter }));
  const options = { title: TITLE, placeHolder, matchOnDescription: true, matchOnDetail: true };
  return (await vscode.window.showQuickPick<AdapterItem>(items, options))?.adapter;
}
