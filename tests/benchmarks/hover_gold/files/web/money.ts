import { rates } from "./rates";

export interface Money {
  readonly minor: string;
  readonly currency: string;
}

type PaymentEvent =
  | { kind: "authorised"; amount: Money }
  | { kind: "captured"; amount: Money; at: string }
  | { kind: "failed"; reason: string };

/** An amount as people of this locale write it. Never calculate with it. */
export function formatMoney({ minor, currency }: Money, locale: string): string {
  const format = new Intl.NumberFormat(locale, { style: "currency", currency });
  const digits = format.resolvedOptions().maximumFractionDigits ?? 2;
  const padded = minor.replace("-", "").padStart(digits + 1, "0");
  const whole = padded.slice(0, padded.length - digits);
  const fraction = digits > 0 ? `.${padded.slice(-digits)}` : "";
  const sign = minor.startsWith("-") ? "-" : "";
  return format.format(`${sign}${whole}${fraction}` as Intl.StringNumericLiteral);
}

export function describeEvent(event: PaymentEvent): string {
  switch (event.kind) {
    case "authorised":
      return "authorised";
    case "captured":
      return `captured at ${event.at}`;
    case "failed":
      return `failed: ${event.reason}`;
    default: {
      // a new member of the union must not compile until it is handled here
      const missing: never = event;
      throw new Error(`unhandled event ${JSON.stringify(missing)}`);
    }
  }
}

export function rateOf(currency: string): string {
  const rate = rates.get(currency); // has() before get() does not narrow
  if (rate === undefined) {
    throw new Error(`no exchange rate for ${currency}`);
  }
  return rate;
}

type Route = { path: string; auth: boolean };

export const routes = {
  invoices: { path: "/invoices", auth: true },
  health: { path: "/healthz", auth: false },
} satisfies Record<string, Route>;

export function initials(name: string): string {
  const words = name.trim().split(/\s+/);
  return words.map((part) => part.charAt(0)).join("");
}
