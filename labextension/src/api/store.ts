/**
 * What is known right now, shared by the panel, the job cards and the status bar.
 *
 * A state is never changed, only replaced, so that React draws again what differs and nothing else.
 */

import { useSyncExternalStore } from 'react';

import { ISignal, Signal } from '@lumino/signaling';
import { IDisposable } from '@lumino/disposable';

import { Client } from './client';
import { Link, Stream } from './stream';
import { Job, Message, Stale } from './types';

export interface Known {
  readonly link: Link;
  /** Whether a snapshot has come at all. */
  readonly known: boolean;
  /** What is under way, newest first. */
  readonly running: readonly Job[];
  /** Micro-NOS that running jobs cost per hour. */
  readonly perHour: number;
  readonly network: string;
  readonly local: boolean;
  readonly up: boolean;
  /** How often each was said to be stale: who shows it asks again when its count changes. */
  readonly stale: Readonly<Record<Stale['what'][number], number>>;
}

const NOTHING: Known = {
  link: 'closed',
  known: false,
  running: [],
  perHour: 0,
  network: '',
  local: false,
  up: true,
  stale: { wallet: 0, jobs: 0, templates: 0, gpus: 0 }
};

export class Store {
  constructor(readonly client: Client) {
    this._stream = new Stream(client.settings);
    this._stream.linked.connect((_, link) => this._set({ link }));
    this._stream.told.connect((_, message) => this._set(after(this._state, message)));
  }

  get state(): Known {
    return this._state;
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Follow what goes on until what is returned is disposed of. */
  hold(): IDisposable {
    return this._stream.hold();
  }

  /** Say that `what` is to be asked again, as after a request of our own. */
  renew(...what: Stale['what']): void {
    this._set(after(this._state, { type: 'stale', what }));
  }

  private _set(part: Partial<Known>): void {
    this._state = { ...this._state, ...part };
    this._changed.emit();
  }

  private _state = NOTHING;
  private readonly _stream: Stream;
  private readonly _changed = new Signal<this, void>(this);
}

/** Return what `message` changes of `state`. */
export function after(state: Known, message: Message): Partial<Known> {
  switch (message.type) {
    case 'snapshot':
      return {
        known: true,
        running: sorted(message.jobs),
        perHour: message.per_hour,
        network: message.network,
        local: message.local,
        up: message.up,
        // While the stream was away, anything may have changed.
        stale: state.known ? counted(state, ['wallet', 'jobs']) : state.stale
      };
    case 'changed': {
      const others = state.running.filter(job => !same(job, message.job));
      return { running: sorted([...others, message.job]), perHour: message.per_hour };
    }
    case 'gone':
      return {
        running: state.running.filter(job => !same(job, message)),
        perHour: message.per_hour,
        stale: counted(state, ['jobs', 'wallet'])
      };
    case 'stale':
      return { stale: counted(state, message.what) };
  }
}

function counted(state: Known, what: Stale['what']): Known['stale'] {
  return { ...state.stale, ...Object.fromEntries(what.map(name => [name, state.stale[name] + 1])) };
}

function sorted(jobs: readonly Job[]): Job[] {
  return [...jobs].sort((a, b) => b.created - a.created || keyOf(a).localeCompare(keyOf(b)));
}

/** What tells jobs apart: a cell keeps its id when it gets a job. */
export function keyOf(job: { job: string; cell: string }): string {
  return job.cell || job.job;
}

function same(a: { job: string; cell: string }, b: { job: string; cell: string }): boolean {
  return a.cell && b.cell ? a.cell === b.cell : a.job !== '' && a.job === b.job;
}

/** Return what `pick` takes of the store, and draw again when that changes. */
export function useStore<T>(store: Store, pick: (state: Known) => T): T {
  return useSyncExternalStore(
    told => {
      const slot = () => told();
      store.changed.connect(slot);
      return () => void store.changed.disconnect(slot);
    },
    () => pick(store.state)
  );
}
