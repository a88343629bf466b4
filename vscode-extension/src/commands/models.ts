import * as vscode from "vscode";
import type { ModelState, ModelsResponse } from "../modelMessages";
import type { Server } from "../server";
import { residencyOf } from "../wording";

interface ModelItem extends vscode.QuickPickItem {
  readonly model: ModelState;
}

const TITLE = "Remanence: Language Models";

/** Lists the language models with what they take; the one that is chosen is loaded, or unloaded where it is in memory. */
export async function showModels(server: Server): Promise<void> {
  const known = await server.call("remanence.models", {});
  if (known.models.length === 0) {
    void vscode.window.showInformationMessage(`Remanence: no language model is set. ${advice(known)}`);
    return;
  }
  const chosen = await vscode.window.showQuickPick<ModelItem>(known.models.map(modelItem), {
    title: TITLE,
    placeHolder: known.warning ?? `Choose one to load or unload it (at most ${known.limitMb} MB of ${known.totalMb})`,
    matchOnDescription: true,
  });
  if (chosen === undefined || chosen.model.state === "remote") {
    return;
  }
  const { id, state } = chosen.model;
  const action = state === "loaded" || state === "busy" ? "unload" : "load";
  const options = { location: vscode.ProgressLocation.Notification, title: `Remanence: ${action}ing ${id}` };
  const after = await vscode.window.withProgress(options, () => server.call("remanence.models", { action, id }));
  const model = after.models.find((each) => each.id === id);
  if (model !== undefined) {
    void vscode.window.showInformationMessage(`Remanence: ${id}: ${residencyOf(model)}`);
  }
}

function modelItem(model: ModelState): ModelItem {
  return {
    label: model.isDefault ? `${model.id} (asked by default)` : model.id,
    description: residencyOf(model),
    detail: model.problem ?? `${model.backend} · ${model.place}`,
    model,
  };
}

function advice({ recommended, profile }: ModelsResponse): string {
  const [first] = recommended;
  const suited = first === undefined ? "" : ` This machine's profile is ${profile}: ${first.name} ${first.quantisation}, ${first.sizeMb} MB, would suit it.`;
  return `Name one under [language_models] in settings.toml.${suited}`;
}
