import * as vscode from "vscode";
import type { DecisionItem, FactItem } from "../learningMessages";
import { openMemory } from "../memoryDocuments";
import type { Server } from "../server";
import { ageOf, oneLine } from "../wording";

interface FactChoice extends vscode.QuickPickItem {
  readonly fact: FactItem;
}

interface DecisionChoice extends vscode.QuickPickItem {
  readonly decision: DecisionItem;
}

/** Lists what memories say as short dated facts, those that hold no longer too; choosing one opens its memory. */
export async function showFacts(server: Server): Promise<void> {
  const text = await vscode.window.showInputBox({
    title: "Remanence: Facts",
    prompt: "Which facts to list",
    placeHolder: "A word of them; nothing for all",
  });
  if (text === undefined) {
    return;
  }
  const { facts, unread } = await server.call("remanence.facts", { text: text.trim(), state: "all" });
  if (facts.length === 0) {
    void vscode.window.showInformationMessage(`Remanence: no such fact is known. ${unread} memories wait to be read for facts.`);
    return;
  }
  const placeHolder = "Choose a fact to open the memory that says it";
  const chosen = await vscode.window.showQuickPick(facts.map(factChoice), { title: "Remanence: Facts", placeHolder, matchOnDetail: true });
  const memory = chosen?.fact.exchanges.at(-1);
  if (memory !== undefined) {
    await openMemory(memory);
  }
}

/** Lists what newer facts did to older ones; the one that is chosen is taken back, or done again. */
export async function showDecisions(server: Server): Promise<void> {
  const { decisions } = await server.call("remanence.decisions", {});
  if (decisions.length === 0) {
    void vscode.window.showInformationMessage("Remanence: no newer fact has changed an older one yet.");
    return;
  }
  const placeHolder = "Choose a decision to take it back, or to do it again";
  const chosen = await vscode.window.showQuickPick(decisions.map(decisionChoice), { title: "Remanence: Decisions", placeHolder, matchOnDetail: true });
  if (chosen === undefined) {
    return;
  }
  const { id, state } = chosen.decision;
  if (state === "pending") {
    void vscode.window.showInformationMessage("Remanence: this decision waits for the language model; `remanence consolidate --model` asks it.");
    return;
  }
  await server.call("remanence.decisions", state === "done" ? { undo: id } : { redo: id });
  void vscode.window.showInformationMessage(`Remanence: ${state === "done" ? "taken back: both facts are as they were" : "done again"}.`);
}

function factChoice(fact: FactItem): FactChoice {
  const since = fact.validFrom === null ? [] : [`said ${ageOf(fact.validFrom, Date.now())}`];
  const ended = fact.validUntil === null ? [] : [`held until ${ageOf(fact.validUntil, Date.now())}`];
  const times = fact.confirmations > 1 ? [`said ${fact.confirmations} times`] : [];
  return {
    label: fact.validUntil === null ? fact.text : `$(history) ${fact.text}`,
    description: [...since, ...ended, ...times].join(" · "),
    detail: `“${oneLine(fact.words)}”`,
    fact,
  };
}

function decisionChoice(decision: DecisionItem): DecisionChoice {
  return {
    label: `${decision.action}: ${decision.text}`,
    description: `${decision.state} · ${ageOf(decision.decidedAt, Date.now())} · ${decision.origin}`,
    detail: `over “${decision.olderText}”: ${decision.reason}`,
    decision,
  };
}
