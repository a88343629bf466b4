import * as vscode from "vscode";
import type { SourceState } from "../messages";
import type { Server } from "../server";
import { endOf, tellImported } from "./followJob";

interface SourceItem extends vscode.QuickPickItem {
  readonly source: SourceState;
}

/** Lists the sources; those ticked are turned on and imported from, those no longer ticked are turned off. */
export async function sync(server: Server): Promise<void> {
  const { sources } = await server.call("remanence.sources", {});
  const known = sources.filter((source) => source.enabled || source.found > 0);
  if (known.length === 0) {
    void vscode.window.showInformationMessage("Remanence: no assistant's conversations were found on this machine.");
    return;
  }
  const chosen = await vscode.window.showQuickPick<SourceItem>(known.map(sourceItem), {
    title: "Remanence: Sync",
    placeHolder: "Tick the assistants whose conversations may be imported, now and later",
    canPickMany: true,
  });
  if (chosen === undefined) {
    return;
  }
  const on = chosen.map((item) => item.source.name);
  const disable = known.filter((source) => source.enabled && !on.includes(source.name)).map((source) => source.name);
  if (disable.length > 0) {
    await server.call("remanence.sources", { disable });
  }
  if (on.length > 0) {
    const { jobId } = await server.call("remanence.sync", { sources: on });
    tellImported(await endOf(server, jobId), "the import");
  }
}

function sourceItem(source: SourceState): SourceItem {
  const files = source.found === 1 ? "1 file" : `${source.found} files`;
  return {
    label: source.title,
    description: files,
    detail: source.locations.join(", "),
    picked: source.enabled,
    source,
  };
}
