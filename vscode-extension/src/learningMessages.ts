/** The Structs of server/remanence/engine/learning_messages.py and fact_messages.py, field by field. */

export type AdapterAction = "list" | "activate" | "deactivate" | "rollback" | "compare" | "merge" | "export" | "delete";
export type MergeMethod = "svd" | "linear" | "cat" | "ties" | "dare_ties";
export type AdapterState = "trained" | "refused" | "active" | "inactive" | "outdated";
export type ExportFormat = "lora" | "merged" | "modelfile";
export type AdapterPurpose = "facts" | "operations";
export type AutomaticAnswer = "now" | "always" | "later" | "never" | "ask";
export type FactState = "current" | "superseded" | "all";
export type DecisionState = "done" | "pending" | "undone";

export interface FactsRequest {
  text?: string;
  exchange?: string | null;
  state?: FactState;
  limit?: number;
  after?: string;
}

export interface FactItem {
  id: string;
  text: string;
  subject: string;
  topic: string;
  value: string;
  words: string;
  language: string;
  validFrom: number | null;
  validUntil: number | null;
  confidence: number;
  confirmations: number;
  origin: string;
  supersededBy: string | null;
  workspace: string | null;
  exchanges: string[];
}

export interface FactsResponse {
  facts: FactItem[];
  current: number;
  unread: number;
  undecided: number;
  pending: number;
}

export interface DecisionsRequest {
  undo?: number | null;
  redo?: number | null;
  state?: DecisionState | null;
  limit?: number;
}

export interface DecisionItem {
  id: number;
  action: "delete" | "ignore" | "update";
  state: DecisionState;
  reason: string;
  origin: string;
  decidedAt: number;
  fact: string;
  text: string;
  older: string;
  olderText: string;
}

export interface DecisionsResponse {
  decisions: DecisionItem[];
  pending: number;
}

export interface ConsolidateRequest {
  model?: boolean;
  again?: boolean;
}

export interface TrainRequest {
  purpose?: AdapterPurpose;
  recipe?: string | null;
  model?: string | null;
  base?: string | null;
  afresh?: boolean;
  insteadOf?: string | null;
  dryRun?: boolean;
  auto?: boolean;
}

export interface TrainPlan {
  base: string;
  recipe: string;
  facts: string[];
  known: number;
  stages: number;
  rows: number;
  steps: number;
  seconds: number;
  memoryMb: number;
  parent: string | null;
  purpose: AdapterPurpose;
  byOrigin: Record<string, number>;
  note: string | null;
  refusal: string | null;
}

export interface TrainResponse {
  plan: TrainPlan;
  jobId: string | null;
  adapter: string | null;
  note: string | null;
}

export interface EvaluateRequest {
  id?: string | null;
}

export interface AdaptersRequest {
  action?: AdapterAction;
  id?: string | null;
  other?: string | null;
  force?: boolean;
  path?: string | null;
  format?: ExportFormat;
  gguf?: string | null;
  verify?: boolean;
  method?: MergeMethod;
  weights?: number[] | null;
}

export interface ScoreFigures {
  n: number;
  exact: number;
  low: number;
  high: number;
  f1: number;
  stale: number;
  valid: number | null;
  decisionF1: number | null;
  precision: number | null;
  recall: number | null;
}

export interface AdapterFigures {
  id: string;
  base: string;
  recipe: string;
  state: AdapterState;
  facts: number;
  folder: string;
  createdAt: number;
  purpose: AdapterPurpose;
  parent: string | null;
  mergedWith: string | null;
  passed: boolean | null;
  reasons: string[];
  evaluation: Record<string, Record<string, ScoreFigures>>;
}

export interface AdaptersResponse {
  adapters: AdapterFigures[];
  note: string | null;
  files: string[];
  jobId: string | null;
}

export interface AutomaticRequest {
  answer?: AutomaticAnswer | null;
}

export interface AutomaticResponse {
  after: number;
  new: number;
  answer: AutomaticAnswer | null;
  ask: boolean;
  words: string | null;
  jobId: string | null;
}
