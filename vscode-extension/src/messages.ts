/** What the server's commands take and give: the Structs of server/remanence/engine/messages.py, field by field. */

export type CaptureStatus = "stored" | "duplicate" | "updated" | "ignored";
export type JobState = "queued" | "running" | "done" | "failed" | "cancelled";

/** Epoch milliseconds or ISO-8601. */
export type Timestamp = number | string;

export interface CaptureRequest {
  question: string;
  answer: string;
  askedAt?: Timestamp | null;
  answeredAt?: Timestamp | null;
  model?: string | null;
  tool?: string;
  conversationId?: string | null;
  turnKey?: string | null;
  externalId?: string | null;
  uri?: string | null;
  languageId?: string | null;
  workspace?: string | null;
  tags?: string[];
}

export interface CaptureResponse {
  id: string;
  status: CaptureStatus;
  redactions: string[];
  reason: string | null;
}

export interface RecallRequest {
  query: string;
  limit?: number;
  uri?: string | null;
  languageId?: string | null;
  symbol?: string | null;
  workspace?: string | null;
  tool?: string | null;
  conversationId?: string | null;
  since?: Timestamp | null;
  until?: Timestamp | null;
  mode?: "hybrid" | "dense" | "lexical";
  minScore?: number | null;
  automatic?: boolean;
}

export interface Memory {
  id: string;
  kind: "exchange" | "fact";
  question: string;
  answer: string;
  excerpt: string;
  score: number;
  tool: string;
  externalId: string | null;
  askedAt: number | null;
  answeredAt: number | null;
  model: string | null;
  conversationId: string | null;
  conversationTitle: string | null;
  workspace: string | null;
  uri: string | null;
  languageId: string | null;
  keywords: string[];
  tags: string[];
  why: string[];
  supersededBy: string | null;
  used: number;
}

export interface RecallResponse {
  memories: Memory[];
  tookMs: number;
  degraded: string | null;
}

export interface EnrichPromptRequest {
  prompt: string;
  tokenBudget?: number | null;
  share?: number | null;
  automatic?: boolean;
  uri?: string | null;
  languageId?: string | null;
  symbol?: string | null;
  workspace?: string | null;
  tool?: string | null;
  conversationId?: string | null;
  exceptConversationId?: string | null;
  exceptIds?: string[];
}

export interface PackedMemory {
  id: string;
  tokens: number;
}

export interface EnrichPromptResponse {
  prompt: string;
  memories: PackedMemory[];
  tokens: number;
  degraded: string | null;
}

export interface MemoryFilter {
  tool?: string | null;
  conversationId?: string | null;
  workspace?: string | null;
  since?: Timestamp | null;
  until?: Timestamp | null;
  tag?: string | null;
  all?: boolean;
}

export interface ForgetRequest {
  ids?: string[] | null;
  filter?: MemoryFilter | null;
  dryRun?: boolean;
}

export interface ForgetResponse {
  forgotten: number;
  adapters: string[];
  note: string | null;
  retrain: string | null;
}

export interface ImportRequest {
  source?: string | null;
  path?: string | null;
}

export interface SyncRequest {
  sources?: string[] | null;
}

export interface ImportResponse {
  jobId: string;
  read: number;
  stored: number;
  duplicates: number;
  updated: number;
  ignored: number;
  failed: number;
}

export interface SourcesRequest {
  enable?: string[];
  disable?: string[];
}

export interface SourceState {
  name: string;
  title: string;
  enabled: boolean;
  found: number;
  locations: string[];
  lastSyncedAt: number | null;
}

export interface SourcesResponse {
  sources: SourceState[];
}

export interface JobsRequest {
  jobId?: string | null;
}

export interface CancelRequest {
  jobId: string;
}

export interface Job {
  jobId: string;
  kind: string;
  state: JobState;
  progress: number;
  message: string;
  figures: Record<string, number>;
  reasons: string[];
  error: string | null;
  createdAt: number;
  finishedAt: number | null;
}

export interface JobStarted {
  jobId: string;
}

export interface JobsResponse {
  jobs: Job[];
}

export interface Pending {
  embedding: number;
  keywords: number;
  indexing: number;
}

export interface IndexState {
  name: string;
  state: "ready" | "building" | "absent";
  items: number;
  bytes: number;
}

export interface ProcessState {
  name: string;
  pid: number;
  rssMb: number;
}

export interface StatusResponse {
  exchanges: number;
  facts: number;
  pending: number;
  pendingBy: Pending;
  indexes: IndexState[];
  processes: ProcessState[];
  versions: Record<string, string>;
  home: string;
  embedder: string;
  reranker: string | null;
  sources: SourceState[];
  jobs: Job[];
  databaseBytes: number;
  forgotten: number;
  learning: string | null;
  warning: string | null;
  degraded: string | null;
}
