/** Requests to the server extension: what it answers, or the problem that it names. */

import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import { ISignal, Signal } from '@lumino/signaling';

import { Problem } from './types';

export const BASE = 'nosana-jupyter';

/** How long it is waited until what only asks is asked once more, in milliseconds. */
const PAUSE = 500;

/** Why a request has no answer; `problem` says what to do. */
export class Failed extends Error {
  constructor(readonly problem: Problem) {
    super(problem.message);
  }
}

/** Return what to tell of `error`, whatever was thrown. */
export function problemOf(error: unknown): Problem {
  if (error instanceof Failed) {
    return error.problem;
  }
  return { message: String(error), hint: '', money: '', kind: '' };
}

export class Client {
  readonly settings = ServerConnection.makeSettings();

  /** Whether the server has none of our routes: its extension does not run. */
  get isMissing(): boolean {
    return this._missing;
  }

  /** Told when that changes. */
  get known(): ISignal<this, void> {
    return this._known;
  }

  get<T>(path: string, query: Record<string, string | number> = {}): Promise<T> {
    const parts = Object.entries(query).map(([name, value]) => [name, String(value)]);
    const asked = new URLSearchParams(parts).toString();
    return this._ask<T>(asked ? `${path}?${asked}` : path, { method: 'GET' });
  }

  post<T>(path: string, body: object = {}): Promise<T> {
    return this._ask<T>(path, { method: 'POST', body: JSON.stringify(body) });
  }

  /** Return a file, and the name that the server gives it. */
  async file(path: string): Promise<{ name: string; content: Blob }> {
    const { response, content } = await this._send(path, { method: 'GET' });
    if (!response.ok) {
      throw new Failed(problemIn(parsed(await content.text()), response.status));
    }
    const given = response.headers.get('Content-Disposition') ?? '';
    const name = /filename="?([^";]+)/.exec(given)?.[1] ?? path.replace(/\//g, '-');
    return { name, content };
  }

  /** Remove what `path` names; there is no other answer than that it is gone. */
  async remove(path: string, query: Record<string, string> = {}): Promise<void> {
    const asked = new URLSearchParams(query).toString();
    const { response, content } = await this._send(asked ? `${path}?${asked}` : path, {
      method: 'DELETE'
    });
    if (!response.ok) {
      throw new Failed(problemIn(parsed(await content.text()), response.status));
    }
  }

  private async _ask<T>(path: string, init: RequestInit): Promise<T> {
    const { response, content } = await this._send(path, init);
    const answer = parsed(await content.text());
    this._know(answer === null && response.status === 404);
    if (!response.ok || answer === null) {
      throw new Failed(problemIn(answer, response.status));
    }
    return answer as T;
  }

  private _know(missing: boolean): void {
    if (missing !== this._missing) {
      this._missing = missing;
      this._known.emit();
    }
  }

  /**
   * Return the whole answer. Browsers let go of requests when a network comes or goes: what only
   * asks is asked once more.
   */
  private async _send(path: string, init: RequestInit): Promise<Answered> {
    const url = URLExt.join(this.settings.baseUrl, BASE) + '/' + path;
    const once = async (): Promise<Answered> => {
      const response = await ServerConnection.makeRequest(url, init, this.settings);
      return { response, content: await response.blob() };
    };
    try {
      return await once().catch(async error => {
        if (init.method !== 'GET') {
          throw error;
        }
        await new Promise(done => window.setTimeout(done, PAUSE));
        return once();
      });
    } catch {
      throw new Failed({
        message: 'the Jupyter server does not answer',
        hint: 'Try again. If it stays away, start it again.',
        money: '',
        kind: 'Offline'
      });
    }
  }

  private _missing = false;
  private readonly _known = new Signal<this, void>(this);
}

interface Answered {
  readonly response: Response;
  readonly content: Blob;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Where the page has our sidebar, and its server is one without us. */
export const MISSING: Problem = {
  message: 'the server extension of nosana_jupyter does not run',
  hint: 'Install nosana_jupyter where this Jupyter server runs, and start it again: `jupyter server extension list` shows whether it is there.',
  money: '',
  kind: 'Missing'
};

function problemIn(answer: unknown, status: number): Problem {
  if (answer === null && status === 404) {
    return MISSING;
  }
  const found = (answer ?? {}) as Partial<Problem>;
  return {
    message: found.message || `the Jupyter server answered with status ${status}`,
    hint: found.hint || (status >= 500 ? 'Its log says more.' : ''),
    money: found.money ?? '',
    kind: found.kind ?? ''
  };
}
