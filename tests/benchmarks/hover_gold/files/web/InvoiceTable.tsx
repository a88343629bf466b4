import { memo, useDeferredValue, useEffect, useMemo, useRef, useState } from "react";
import { useVirtualizer } from "@tanstack/react-virtual";
import type { Invoice } from "./types";
import { formatMoney } from "./money";

const ROW_HEIGHT = 32;

const Row = memo(function Row({ invoice }: { invoice: Invoice }) {
  return (
    <tr>
      <td>{invoice.number}</td>
      <td>{formatMoney(invoice.total, "fr-FR")}</td>
    </tr>
  );
});

export function InvoiceTable({ invoices }: { invoices: Invoice[] }) {
  const [query, setQuery] = useState("");
  // typing comes first, the table follows when there is time
  const deferred = useDeferredValue(query);
  const visible = useMemo(
    () => invoices.filter((invoice) => invoice.number.includes(deferred)),
    [invoices, deferred],
  );
  const parent = useRef<HTMLDivElement>(null);
  const virtualizer = useVirtualizer({
    count: visible.length,
    getScrollElement: () => parent.current,
    estimateSize: () => ROW_HEIGHT,
  });
  return (
    <div ref={parent} className="table-wrapper">
      <input value={query} onChange={(change) => setQuery(change.target.value)} />
      <tbody>
        {virtualizer.getVirtualItems().map((item) => (
          <Row key={item.key} invoice={visible[item.index]} />
        ))}
      </tbody>
    </div>
  );
}

export function InvoicePage({ id }: { id: string }) {
  const [invoice, setInvoice] = useState<Invoice>();
  const [error, setError] = useState<string>();

  useEffect(() => {
    // Strict Mode mounts twice; the first request is thrown away
    const controller = new AbortController();
    fetch(`/api/invoices/${id}`, { signal: controller.signal })
      .then((response) => response.json())
      .then(setInvoice)
      .catch((reason: unknown) => {
        if (!controller.signal.aborted) setError(String(reason));
      });
    return () => controller.abort();
  }, [id]);

  if (error) return <p className="error">{error}</p>;
  return invoice ? <Row invoice={invoice} /> : <Spinner />;
}

function Spinner() {
  const [seconds, setSeconds] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => {
      // the updater form: the callback only knows the first render's value
      setSeconds((current) => current + 1);
    }, 1000);
    return () => clearInterval(timer);
  }, []);
  return <span title={`${seconds} s`}>…</span>;
}
