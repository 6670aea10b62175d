/** How a job stands, in words, and what it has cost so far. */

import { Job } from '../api';
import { nos, usd } from '../look/words';

/** What the sign before a job shows by its form. */
export type Kind = 'waits' | 'works' | 'alone' | 'done' | 'failed' | 'stopped';

const WORKS = ['running'];
const WAITS = ['preparing', 'waiting', 'starting', 'intent', 'posted'];
const FAILED = ['failed', 'recovered', 'unsettled'];
const STOPPED = ['interrupted', 'stopped', 'refunded'];

export function kindOf(job: Job): Kind {
  if (job.state === 'detached' || (WORKS.includes(job.state) && !job.followed && !job.live)) {
    return 'alone';
  }
  if (WORKS.includes(job.state)) {
    return 'works';
  }
  if (WAITS.includes(job.state)) {
    return 'waits';
  }
  const end = job.live?.end ?? '';
  if (FAILED.includes(job.state) || end === 'failed' || end === 'broken') {
    return 'failed';
  }
  return end === 'interrupted' || STOPPED.includes(job.state) ? 'stopped' : 'done';
}

/** The one line that says what goes on. */
export function said(job: Job): string {
  const text = job.text || job.state;
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export function money(amount: number, credits: boolean): string {
  return credits ? usd(amount) : nos(amount);
}

/** What it has cost at `now`, of what its host gets; null as long as nothing is paid for. */
export function costAt(job: Job, now: number): number | null {
  const { live } = job;
  // Of a job that was taken up only the receipt will say it.
  if (!live || live.began === null || live.price === 0) {
    return null;
  }
  const until = live.ended ?? now;
  const cost = live.price * Math.max(0, until - live.began);
  return live.most ? Math.min(cost, live.most) : cost;
}

/** An amount that ticks: always as many digits, so that nothing moves. */
export function ticking(amount: number, credits: boolean): string {
  const value = (amount / 1_000_000).toFixed(4);
  return credits ? `$${value}` : `${value} NOS`;
}

/** What `amount` is in dollars, where that is known and not said already. */
export function inDollars(amount: number, job: Job): string {
  const rate = job.live?.usd_per_nos ?? null;
  return rate === null || job.credits ? '' : `$${((amount * rate) / 1_000_000).toFixed(4)}`;
}
