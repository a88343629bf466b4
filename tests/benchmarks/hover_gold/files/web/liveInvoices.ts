// Live updates of the invoice list.

import type { Invoice } from "./types";
import { store } from "./store";

const PING_TIMEOUT_MS = 45_000;
const MAX_WAIT_MS = 30_000;

let lastEventId = 0;

export function connect(url: () => string, onMessage: (data: string) => void): () => void {
  let socket: WebSocket | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let failures = 0;
  let closed = false;

  const open = (): void => {
    socket = new WebSocket(url());
    socket.onopen = () => {
      failures = 0;
    };
    socket.onmessage = (event) => onMessage(String(event.data));
    socket.onclose = () => {
      if (closed) return;
      // jitter: after a deployment all browsers come back at once
      const ceiling = Math.min(MAX_WAIT_MS, 500 * 2 ** failures++);
      timer = setTimeout(open, Math.random() * ceiling);
    };
  };

  open();
  return () => {
    closed = true;
    clearTimeout(timer);
    socket?.close(1000);
  };
}

// après une coupure : reprendre au dernier événement reçu
export const invoicesUrl = (): string => `/ws/invoices?after=${lastEventId}`;

export function onInvoiceEvent(data: string): void {
  const event = JSON.parse(data) as { id: number; invoice: Invoice };
  if (event.id <= lastEventId) return;
  lastEventId = event.id;
  store.upsert(event.invoice);
}

export function tabTitle(unread: number): string {
  const prefix = unread > 0 ? `(${unread}) ` : "";
  return `${prefix}Ledgerline`;
}
