/** Amounts of a card: NOS, or dollars where credits pay. */

import { nos, usd } from '../look/words';

/** Write micro-NOS, or micro-dollars of credits. */
export function money(amount: number, credits: boolean): string {
  return credits ? usd(amount) : nos(amount);
}

/** Write what an amount is in dollars, where that is known and not said already. */
export function dollars(amount: number, rate: number | null, credits: boolean): string {
  return credits || rate === null ? '' : usd(amount * rate);
}
