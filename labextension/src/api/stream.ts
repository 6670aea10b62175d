/**
 * The event stream: one websocket, open only while somebody who is seen listens.
 *
 * Whoever shows what goes on holds it, and lets it go when hidden. A page in the background counts
 * as hidden. A stream that is lost is opened again, sooner at first and later ever less often.
 */

import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import { DisposableDelegate, IDisposable } from '@lumino/disposable';
import { ISignal, Signal } from '@lumino/signaling';

import { BASE } from './client';
import { Message } from './types';

export type Link = 'closed' | 'opening' | 'open' | 'lost';

/** First and longest wait before it is opened again, in milliseconds. */
const WAITS = [250, 8_000] as const;

/** How long a page may be in the background until its stream is closed, in milliseconds. */
const BACKGROUND = 5_000;

export class Stream {
  constructor(private readonly _settings: ServerConnection.ISettings) {
    document.addEventListener('visibilitychange', () => this._seen());
  }

  get link(): Link {
    return this._link;
  }

  get linked(): ISignal<this, Link> {
    return this._linked;
  }

  get told(): ISignal<this, Message> {
    return this._told;
  }

  /** Keep it open until what is returned is disposed of. */
  hold(): IDisposable {
    this._holders += 1;
    this._settle();
    return new DisposableDelegate(() => {
      this._holders -= 1;
      // Whoever takes over in the same turn finds it open.
      window.setTimeout(() => this._settle());
    });
  }

  private _seen(): void {
    window.clearTimeout(this._leaving);
    if (document.hidden) {
      this._leaving = window.setTimeout(() => this._settle(), BACKGROUND);
    } else {
      this._settle();
    }
  }

  private _settle(): void {
    const wanted = this._holders > 0 && !document.hidden;
    if (wanted && this._socket === null && this._retry === 0) {
      this._open();
    } else if (!wanted && (this._holders === 0 || document.hidden)) {
      this._close();
    }
  }

  private _open(): void {
    const { wsUrl, token, appendToken, WebSocket } = this._settings;
    const query = appendToken && token ? `?token=${encodeURIComponent(token)}` : '';
    const socket = new WebSocket(URLExt.join(wsUrl, BASE, 'events') + query);
    this._socket = socket;
    this._say(this._link === 'lost' ? 'lost' : 'opening');
    socket.onmessage = event => {
      if (this._socket === socket) {
        this._wait = WAITS[0];
        this._say('open');
        this._told.emit(JSON.parse(String(event.data)) as Message);
      }
    };
    socket.onclose = () => {
      if (this._socket === socket) {
        this._socket = null;
        this._say('lost');
        this._again();
      }
    };
  }

  private _again(): void {
    // Each tab waits a little differently, so that they do not all come at once.
    const wait = this._wait * (0.75 + Math.random() / 2);
    this._wait = Math.min(this._wait * 2, WAITS[1]);
    this._retry = window.setTimeout(() => {
      this._retry = 0;
      this._settle();
    }, wait);
  }

  private _close(): void {
    window.clearTimeout(this._retry);
    this._retry = 0;
    const socket = this._socket;
    this._socket = null;
    socket?.close();
    this._say('closed');
  }

  private _say(link: Link): void {
    if (link !== this._link) {
      this._link = link;
      this._linked.emit(link);
    }
  }

  private _holders = 0;
  private _leaving = 0;
  private _retry = 0;
  private _wait: number = WAITS[0];
  private _socket: WebSocket | null = null;
  private _link: Link = 'closed';
  private readonly _linked = new Signal<this, Link>(this);
  private readonly _told = new Signal<this, Message>(this);
}
