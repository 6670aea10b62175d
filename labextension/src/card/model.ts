/**
 * What a notebook keeps of a cell: `application/vnd.nosana.job+json`.
 *
 * It may come with a notebook of a stranger's. So each field is read for what it must be, texts are
 * cut to what a card can show, and nothing of it becomes more than text.
 */

import { End, JobCard, Sample, State } from '../api';

export const MIME = 'application/vnd.nosana.job+json';

const STATES: readonly State[] = [
  'preparing',
  'waiting',
  'starting',
  'running',
  'detached',
  'ended'
];
const ENDS: readonly End[] = ['', 'done', 'failed', 'interrupted', 'broken'];

const LONGEST = 2_000;
const MOST_ROWS = 60;
const MOST_SAMPLES = 240;

/** Return the card that `data` is, or null where it is none that we know. */
export function readCard(data: unknown): JobCard | null {
  const from = fields(data);
  if (from === null || from['version'] !== 1) {
    return null;
  }
  return {
    version: 1,
    ...who(from),
    ...money(from),
    state: oneOf(STATES, from['state'], 'ended'),
    end: oneOf(ENDS, from['end'], ''),
    text: text(from['text']),
    doing: text(from['doing']),
    share: number(from['share']),
    since: number(from['since']) ?? 0,
    began: number(from['began']),
    ended: number(from['ended']),
    receipt: rows(from['receipt']),
    verified: text(from['verified']),
    samples: samples(from['samples']),
    peak: number(from['peak']),
    lines: number(from['lines']) ?? 0
  };
}

/** Return the one line of a card of another version, if it has one. */
export function lineOf(data: unknown): string {
  return text(fields(data)?.['text']);
}

type Fields = Readonly<Record<string, unknown>>;

function who(from: Fields) {
  return {
    cell: text(from['cell']),
    job: text(from['job']),
    session: text(from['session']),
    network: text(from['network']),
    title: text(from['title']),
    market: text(from['market']),
    gpu: text(from['gpu']),
    node: text(from['node']),
    host: text(from['host'])
  };
}

function money(from: Fields) {
  return {
    price: number(from['price']) ?? 0,
    most: number(from['most']) ?? 0,
    timeout: number(from['timeout']) ?? 0,
    usd_per_nos: number(from['usd_per_nos']),
    credits: from['credits'] === true,
    paid: number(from['paid']),
    cost: text(from['cost'])
  };
}

function fields(value: unknown): Fields | null {
  return typeof value === 'object' && value !== null ? (value as Fields) : null;
}

function text(value: unknown): string {
  return typeof value === 'string' ? value.slice(0, LONGEST) : '';
}

function number(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

function oneOf<T extends string>(all: readonly T[], value: unknown, otherwise: T): T {
  return all.find(each => each === value) ?? otherwise;
}

function list(value: unknown, most: number): readonly unknown[] {
  return Array.isArray(value) ? value.slice(-most) : [];
}

function rows(value: unknown): JobCard['receipt'] {
  return list(value, MOST_ROWS).map(each =>
    Array.isArray(each) ? ([text(each[0]), text(each[1])] as const) : (['', text(each)] as const)
  );
}

function samples(value: unknown): readonly Sample[] {
  return list(value, MOST_SAMPLES).flatMap(each => {
    const from = fields(each);
    const at = number(from?.['at']);
    if (from === null || at === null) {
      return [];
    }
    return {
      at,
      used: number(from['used']),
      total: number(from['total']),
      busy: number(from['busy']),
      card: from['card'] !== false
    };
  });
}
