/** The panel in the sidebar: four sections over one store. */

import * as React from 'react';
import { useSyncExternalStore } from 'react';

import { ReactWidget } from '@jupyterlab/ui-components';
import { IDisposable } from '@lumino/disposable';
import { Message } from '@lumino/messaging';

import { MISSING, useStore } from '../api';
import { Gpus } from '../gpus';
import { Jobs } from '../jobs';
import { nosanaIcon } from '../look/icons';
import { INosana } from '../nosana';
import { Templates } from '../templates';
import { Wallet } from '../wallet';
import { Trouble } from './notes';
import { Section, Shown } from './section';

export const PANEL = 'nosana-jupyter-panel';

export class Panel extends ReactWidget {
  constructor(private readonly _nosana: INosana) {
    super();
    this.id = PANEL;
    this.addClass('nj-Panel');
    this.title.icon = nosanaIcon;
    this.title.caption = 'Nosana';
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', 'Nosana');
  }

  protected render(): JSX.Element {
    return (
      <Shown.Provider value={this.isVisible}>
        <Sections nosana={this._nosana} />
      </Shown.Provider>
    );
  }

  /** Go to where the panel begins: who opens it by keyboard goes on in it. */
  protected onActivateRequest(message: Message): void {
    super.onActivateRequest(message);
    this.node.querySelector<HTMLElement>('h2 button')?.focus();
  }

  protected onAfterShow(message: Message): void {
    super.onAfterShow(message);
    this._hold();
    this.update();
  }

  protected onAfterAttach(message: Message): void {
    super.onAfterAttach(message);
    this._hold();
  }

  protected onAfterHide(message: Message): void {
    super.onAfterHide(message);
    this._release();
    this.update();
  }

  protected onBeforeDetach(message: Message): void {
    this._release();
    super.onBeforeDetach(message);
  }

  private _hold(): void {
    if (this.isVisible && this._held === null) {
      this._held = this._nosana.store.hold();
    }
  }

  private _release(): void {
    this._held?.dispose();
    this._held = null;
  }

  private _held: IDisposable | null = null;
}

function Sections({ nosana }: { nosana: INosana }): JSX.Element {
  const running = useStore(nosana.store, state => state.running.length);
  const lost = useStore(nosana.store, state => state.known && state.link === 'lost');
  const missing = useSyncExternalStore(
    told => {
      const slot = (): void => told();
      nosana.client.known.connect(slot);
      return () => void nosana.client.known.disconnect(slot);
    },
    () => nosana.client.isMissing
  );
  if (missing) {
    return <Missing nosana={nosana} />;
  }
  return (
    <>
      <div className="nj-Lost" role="status">
        {lost ? 'The Jupyter server does not answer. Trying again…' : ''}
      </div>
      <Section name="wallet" title="Wallet">
        <Wallet nosana={nosana} />
      </Section>
      <Section name="jobs" title="Jobs" aside={running ? `${running} running` : ''}>
        <Jobs nosana={nosana} />
      </Section>
      <Section name="gpus" title="GPUs">
        <Gpus nosana={nosana} />
      </Section>
      <Section name="templates" title="Templates">
        <Templates nosana={nosana} />
      </Section>
    </>
  );
}

/** What stands in place of all sections where the server has nothing for them. */
function Missing({ nosana }: { nosana: INosana }): JSX.Element {
  const again = (): void => void nosana.client.get('jobs', { limit: 1 }).catch(() => undefined);
  return (
    <div className="nj-Section-body">
      <Trouble problem={MISSING}>
        <button type="button" className="nj-Button" onClick={again}>
          Look again
        </button>
      </Trouble>
    </div>
  );
}
