/**
 * What a card shows: the notebook's model, with what the server says where it knows more.
 */

import { End, Job, JobCard, State } from '../api';

/** How sure it is that a card tells how its job is now. */
export type Trust =
  /** The kernel or the server says so now, or it is over. */
  | 'sure'
  /** The server is being asked. */
  | 'asking'
  /** The server knows nothing of it, or cannot be reached. */
  | 'unknown';

export interface Facts extends JobCard {
  readonly log: string;
  readonly stoppable: boolean;
  readonly extendable: boolean;
}

/** Whether a verdict is that of a cell whose audit went on when it was written. */
export function isAudited({ verified }: JobCard): boolean {
  return /its audit (was still under way|has not ended)/.test(verified);
}

/** Return what `card` and, where the server told of it, `job` say together. */
export function factsOf(card: JobCard, job: Job | null): Facts {
  const plain: Facts = { ...card, log: '', stoppable: false, extendable: false };
  if (job === null) {
    return plain;
  }
  const live = job.live;
  if (card.state === 'ended') {
    // The notebook has how it ended, and its receipt. An audit ends later, maybe unseen by it.
    const later = isAudited(card) ? job.verified : '';
    return {
      ...plain,
      log: live?.log ?? '',
      verified: later || card.verified,
      cost: later ? card.cost.replace(card.verified, later) : card.cost,
      text: later ? card.text.replace(card.verified, later) : card.text,
      receipt: later
        ? card.receipt.map(([label, text]) => [label, text === card.verified ? later : text])
        : card.receipt
    };
  }
  const known: Facts = {
    ...plain,
    job: job.job || card.job,
    stoppable: job.stoppable,
    extendable: job.extendable
  };
  if (live === null) {
    return withJob(known, job);
  }
  return withLive(known, { ...live, state: stateOf(job, live.state) });
}

function withLive(plain: Facts, live: NonNullable<Job['live']>): Facts {
  return {
    ...plain,
    state: live.state,
    end: live.end,
    doing: doingOf(plain, live),
    share: live.share,
    gpu: live.gpu || plain.gpu,
    host: live.host || plain.host,
    node: live.node || plain.node,
    market: live.market || plain.market,
    since: live.since,
    began: live.cell === plain.cell ? live.began : (plain.began ?? live.began),
    ended: live.ended,
    price: live.price || plain.price,
    most: live.most || plain.most,
    timeout: live.timeout || plain.timeout,
    usd_per_nos: live.usd_per_nos ?? plain.usd_per_nos,
    credits: live.credits,
    cost: live.cost,
    samples: live.samples,
    peak: live.peak ?? plain.peak,
    lines: live.lines,
    log: live.log
  };
}

/** Return how far a job is: the server knows whose kernel is gone, which the board does not. */
function stateOf(job: Job, otherwise: State): State {
  return job.state === 'ended' || job.state in WORDS ? (job.state as State) : otherwise;
}

/** Return what is waited for: the kernel says it more exactly, unless it is behind. */
function doingOf(plain: Facts, live: NonNullable<Job['live']>): string {
  if (live.state === plain.state && (plain.doing || live.state === 'running')) {
    return plain.doing;
  }
  return live.state === 'running' ? '' : live.text;
}

/** Return what the journal says of a job that nobody follows any more, or that is over. */
function withJob(plain: Facts, job: Job): Facts {
  const over = !job.open && !job.stoppable;
  return {
    ...plain,
    state: over ? 'ended' : plain.state === 'running' ? 'detached' : plain.state,
    end: over ? endOf(job.state) : '',
    doing: over ? '' : job.text,
    share: null,
    gpu: job.gpu || plain.gpu,
    node: job.node || plain.node,
    ended: over ? (job.ended ?? plain.ended) : null,
    paid: job.paid,
    cost: over ? job.text : '',
    receipt: Object.entries(job.receipt),
    verified: job.verified
  };
}

function endOf(state: string): End {
  return state === 'done' || state === 'failed' || state === 'interrupted' ? state : 'broken';
}

const WORDS: Readonly<Record<Exclude<State, 'ended'>, string>> = {
  preparing: 'Preparing',
  waiting: 'Waiting for a host',
  starting: 'Host is starting',
  running: 'Running',
  detached: 'Running on its own'
};

const ENDED: Readonly<Record<End, string>> = {
  '': 'Over',
  done: 'Done',
  failed: 'Failed',
  interrupted: 'Interrupted',
  broken: 'Stopped early'
};

/** Return the state in a word or two. */
export function stateWords(facts: Facts): string {
  return facts.state === 'ended' ? ENDED[facts.end] : WORDS[facts.state];
}

/** Whether a host is paid for it now. */
export function isPaid(facts: Facts): boolean {
  return facts.began !== null && facts.ended === null && facts.state !== 'ended';
}

/** Return how long it has run, or been waited for, in seconds; null where that is not known. */
export function elapsed(facts: Facts, now: number): number | null {
  if (facts.state === 'ended') {
    return facts.began !== null && facts.ended !== null ? facts.ended - facts.began : null;
  }
  const from = facts.began ?? facts.since;
  return from > 0 ? Math.max(0, now - from) : null;
}

/** Return what it has cost so far, in micro-NOS or micro-dollars; null where nothing is known. */
export function costSoFar(facts: Facts, now: number): number | null {
  if (facts.paid !== null) {
    return facts.paid;
  }
  if (!isPaid(facts) || facts.began === null || facts.price <= 0) {
    return null;
  }
  // A second that has begun is a second that is paid.
  const seconds = Math.ceil(Math.max(0, now - facts.began));
  const bounded = facts.timeout > 0 ? Math.min(seconds, facts.timeout) : seconds;
  return Math.min(facts.price * bounded, facts.most || Infinity);
}
