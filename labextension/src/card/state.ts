/**
 * The state of one card: what the notebook says, what the server says, and what was pressed.
 *
 * A card of a job that is over asks nobody. One of a job under way joins the event stream while it
 * is on screen. Where neither kernel nor stream know the job, the server is asked once, by name.
 */

import { IDisposable } from '@lumino/disposable';
import { ISignal, Signal } from '@lumino/signaling';

import { Extended, Failed, Job, JobCard, More, Problem, problemOf, Stop, Stopped, Store } from '../api';
import { factsOf, isAudited, Trust } from './facts';
import { lineOf, readCard } from './model';

/** How long kernel and stream may be silent of a job until the server is asked, in milliseconds. */
const PATIENCE = 4_000;

/** How long a card that the kernel drew is news, in milliseconds. */
const FRESH = 6_000;

export interface View {
  readonly card: JobCard | null;
  /** What a card of another version says of itself. */
  readonly line: string;
  readonly job: Job | null;
  readonly trust: Trust;
  readonly open: boolean;
  readonly seen: boolean;
  readonly busy: '' | 'stop' | 'extend';
  /** Whether its cell was interrupted: the next press ends the job. */
  readonly interrupted: boolean;
  /** What came of the last press. */
  readonly told: string;
  readonly problem: Problem | null;
  /** Does what `problem` asks to agree to. */
  readonly agree: (() => void) | null;
}

/** Which cards are open, by cell: one that is drawn anew, as by another tab, stays open. */
const opened = new Set<string>();

export class CardState implements IDisposable {
  constructor(private readonly _store: Store) {}

  get view(): View {
    return this._view;
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get isDisposed(): boolean {
    return this._disposed;
  }

  dispose(): void {
    if (!this._disposed) {
      this._disposed = true;
      this._leave();
      Signal.clearData(this);
    }
  }

  /** Take what stands in the notebook now. */
  take(data: unknown): void {
    const card = readCard(data);
    const last = this._view.card;
    if (last !== null && card !== null) {
      // Only a kernel changes a card that is drawn already.
      this._freshAt = Date.now();
    }
    const open = last === null ? card !== null && opened.has(keyOf(card)) : this._view.open;
    const over = card === null || card.state === 'ended';
    this._set({
      card,
      open,
      line: card === null ? lineOf(data) : '',
      trust: over || this._isFresh ? 'sure' : this._view.trust,
      ...(over && last?.state !== 'ended' ? { told: '', problem: null } : {})
    });
    this._settle();
  }

  /** Say whether the card is on screen. */
  see(seen: boolean): void {
    if (seen !== this._view.seen) {
      this._set({ seen });
      this._settle();
    }
  }

  toggle(): void {
    const { card, open } = this._view;
    if (card !== null) {
      opened[open ? 'delete' : 'add'](keyOf(card));
    }
    this._set({ open: !open });
  }

  /** Interrupt the cell as the stop button would; if that was done, or nobody follows it, end it. */
  async stop(): Promise<void> {
    await this._press('stop', async path => {
      const body: Stop = { end: endsJob(this._view) };
      const { how, text } = await this._store.client.post<Stopped>(`${path}/stop`, body);
      this._set({ interrupted: how === 'interrupted', told: text });
      if (how === 'ended') {
        await this._ask();
      }
    });
  }

  /** Pay for `seconds` more; where that is real money, once the user has agreed. */
  async extend(seconds: number, agreed = false): Promise<void> {
    await this._press('extend', async path => {
      const body: More = { seconds, agreed };
      const { text } = await this._store.client.post<Extended>(`${path}/extend`, body);
      this._set({ told: text });
    });
    if (this._view.problem?.kind === 'NotAgreed') {
      this._set({ agree: () => void this.extend(seconds, true) });
    }
  }

  /** Do not do what `problem` asks to agree to, or let its text go. */
  forget(): void {
    this._set({ problem: null, agree: null });
  }

  private async _press(busy: 'stop' | 'extend', act: (path: string) => Promise<void>) {
    if (this._view.busy !== '' || this._path === '') {
      return;
    }
    this._set({ busy, told: '', problem: null, agree: null });
    try {
      await act(this._path);
    } catch (error) {
      this._set({ problem: problemOf(error) });
    }
    this._set({ busy: '' });
  }

  /** Route of its job, or of its cell as long as it has none. */
  private get _path(): string {
    const { card, job } = this._view;
    const name = job?.job || card?.job || card?.cell || '';
    return name === '' ? '' : `jobs/${encodeURIComponent(name)}`;
  }

  private get _isFresh(): boolean {
    return Date.now() - this._freshAt < FRESH;
  }

  /** Join the stream or leave it, by what the card shows and whether that is seen. */
  private _settle(): void {
    const { card, seen } = this._view;
    const over = card === null || factsOf(card, this._view.job).state === 'ended';
    const audited = card?.state === 'ended' && isAudited(card) && !this._asked;
    if (!seen || over || this._disposed) {
      this._leave();
      if (seen && audited && !this._disposed) {
        void this._ask();
      }
    } else if (this._held === null) {
      this._held = this._store.hold();
      this._store.changed.connect(this._hear);
      this._hear();
    }
  }

  private _leave(): void {
    window.clearTimeout(this._waits);
    this._waits = 0;
    this._store.changed.disconnect(this._hear);
    this._held?.dispose();
    this._held = null;
  }

  private readonly _hear = (): void => {
    const { card, job } = this._view;
    const { running } = this._store.state;
    const found =
      card &&
      (running.find(each => isOf(each, card)) ?? running.find(each => tookUp(each, card)));
    if (found) {
      window.clearTimeout(this._waits);
      this._waits = 0;
      this._asked = false;
      if (found !== job || this._view.trust !== 'sure') {
        this._set({ job: found, trust: 'sure' });
      }
    } else if (this._waits === 0 && (!this._asked || this._turned)) {
      // Who was told of it just now is not told more by waiting: it is over.
      const gone = job !== null && this._view.trust === 'sure' && !this._asked;
      this._waits = window.setTimeout(() => this._miss(), gone && !this._isFresh ? 0 : PATIENCE);
    }
  };

  /** Ask the server by name, as neither it nor the kernel has said anything of the job. */
  private _miss(): void {
    this._waits = 0;
    if (this._isFresh && this._view.job === null) {
      this._waits = window.setTimeout(() => this._miss(), PATIENCE);
      return;
    }
    void this._ask();
  }

  /** Whether a job has ended, anyone's, since the server was asked: it may be this one. */
  private get _turned(): boolean {
    return this._store.state.stale.jobs !== this._turn;
  }

  private async _ask(): Promise<void> {
    this._asked = true;
    this._turn = this._store.state.stale.jobs;
    const asking = (this._asking += 1);
    // A later question, or the stream, knows more than an answer that comes after it.
    const late = (): boolean => asking !== this._asking || !this._asked;
    if (this._path === '') {
      this._set({ trust: 'unknown' });
      return;
    }
    try {
      const job = await this._store.client.get<Job>(this._path);
      if (!late()) {
        this._set({ job, trust: 'sure' });
        this._settle();
      }
    } catch (error) {
      if (!(error instanceof Failed)) {
        throw error;
      }
      if (late()) {
        return;
      }
      // What is over is not less sure because nobody else knows it.
      this._set({ trust: this._view.card?.state === 'ended' ? 'sure' : 'unknown' });
    }
  }

  private _set(part: Partial<View>): void {
    this._view = { ...this._view, ...part };
    if (!this._disposed) {
      this._changed.emit();
    }
  }

  private _view: View = {
    card: null,
    line: '',
    job: null,
    trust: 'asking',
    open: false,
    seen: false,
    busy: '',
    interrupted: false,
    told: '',
    problem: null,
    agree: null
  };
  private _held: IDisposable | null = null;
  private _waits = 0;
  private _asked = false;
  private _asking = 0;
  private _turn = 0;
  private _freshAt = 0;
  private _disposed = false;
  private readonly _changed = new Signal<this, void>(this);
}

/** Whether a press of Stop ends the job: no cell waits that could be interrupted. */
export function endsJob({ interrupted, job }: View): boolean {
  return interrupted || (job !== null && job.job !== '' && !job.followed);
}

function keyOf(card: JobCard): string {
  return card.cell || card.job || card.title;
}

function isOf(job: Job, card: JobCard): boolean {
  return card.cell !== '' ? job.cell === card.cell : card.job !== '' && job.job === card.job;
}

/** Whether a cell took a card's job up, as `%nosana attach` does; a session's has cells of its own. */
function tookUp(job: Job, card: JobCard): boolean {
  return card.job !== '' && job.job === card.job && job.session === '' && card.session === '';
}
