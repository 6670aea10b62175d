/** The item of the status bar: network, what runs, and what it costs per hour. */

import * as React from 'react';

import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ReactWidget } from '@jupyterlab/ui-components';
import { IDisposable } from '@lumino/disposable';

import { useStore } from '../api';
import { nosanaIcon } from '../look/icons';
import { nos } from '../look/words';
import { INosana } from '../nosana';

export const status: JupyterFrontEndPlugin<void> = {
  id: 'nosana-jupyter:status',
  description: 'Network, running jobs and what they cost, in the status bar.',
  autoStart: true,
  requires: [INosana],
  optional: [IStatusBar],
  activate: (_app: JupyterFrontEnd, nosana: INosana, bar: IStatusBar | null) => {
    if (bar === null) {
      return;
    }
    let item: IDisposable | null = null;
    let held: IDisposable | null = null;
    const settle = (): void => {
      const wanted = nosana.settings?.get('statusBar').composite !== false;
      if (wanted && item === null) {
        held = nosana.store.hold();
        item = bar.registerStatusItem('nosana-jupyter:status', {
          item: new Item(nosana),
          align: 'left',
          rank: 3
        });
      } else if (!wanted) {
        item?.dispose();
        held?.dispose();
        item = held = null;
      }
    };
    settle();
    nosana.settings?.changed.connect(settle);
  }
};

class Item extends ReactWidget {
  constructor(private readonly _nosana: INosana) {
    super();
    this.addClass('nj-Status');
  }

  protected render(): JSX.Element {
    return <Line nosana={this._nosana} />;
  }
}

function Line({ nosana }: { nosana: INosana }): JSX.Element | null {
  const { store, app } = nosana;
  const network = useStore(store, state => state.network);
  const running = useStore(store, state => state.running.length);
  const perHour = useStore(store, state => state.perHour);
  const up = useStore(store, state => state.up);
  const lost = useStore(store, state => state.link === 'lost');
  if (network === '') {
    return null;
  }
  const parts = lost
    ? ['not reached']
    : !up
      ? ['network is down']
      : running
        ? [running === 1 ? '1 job' : `${running} jobs`, perHour ? `${nos(perHour)}/h` : '']
        : [];
  const text = [network, ...parts].filter(Boolean).join(' · ');
  return (
    <button
      type="button"
      className="nj-Status-button"
      title="Nosana: show jobs"
      aria-label={`Nosana: ${text}. Show jobs`}
      onClick={() => void app.commands.execute('nosana-jupyter:open', { section: 'jobs' })}
    >
      <nosanaIcon.react tag="span" className="nj-Icon" stylesheet="statusBar" />
      <span className="nj-Number">{text}</span>
    </button>
  );
}
