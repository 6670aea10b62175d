/** Commands that do something: fund, stop what runs, make a cell one that runs elsewhere. */

import { Notification } from '@jupyterlab/apputils';

import { Fund, Job, Jobs, keyOf, problemOf, Stop, Stopped, Swept, Wallet } from '../api';
import { nos } from '../look/words';
import { INosana } from '../nosana';
import { insert } from '../notebooks';

export const FUND = 'nosana-jupyter:fund';
export const STOP = 'nosana-jupyter:stop';
export const SWEEP = 'nosana-jupyter:sweep';
export const ATTACH = 'nosana-jupyter:attach';
export const REMOTE = 'nosana-jupyter:run-on-nosana';

export function addDeeds(nosana: INosana): void {
  const { app, client, store, notebooks } = nosana;
  app.commands.addCommand(FUND, {
    label: 'Add Play Money to the Wallet',
    caption: 'On a local network, its faucet gives 10 NOS',
    execute: () =>
      told(async () => {
        const body: Fund = { nos: 10_000_000 };
        const wallet = await client.post<Wallet>('wallet/fund', body);
        store.renew('wallet');
        return `The wallet holds ${nos(wallet.nos)} now.`;
      })
  });
  app.commands.addCommand(STOP, {
    label: 'Stop the Cell of this Notebook',
    caption: 'Interrupt what this notebook runs on Nosana',
    execute: () =>
      told(async () => {
        const path = notebooks?.currentWidget?.context.path ?? '';
        const { running } = await client.get<Jobs>('jobs', { limit: 1 });
        const mine = running.find((job: Job) => job.notebook === path && job.stoppable);
        if (!mine) {
          return 'This notebook runs nothing on Nosana.';
        }
        const body: Stop = {};
        const name = encodeURIComponent(mine.job || keyOf(mine));
        return (await client.post<Stopped>(`jobs/${name}/stop`, body)).text;
      })
  });
  app.commands.addCommand(SWEEP, {
    label: 'Settle Jobs that Nobody Follows',
    caption: 'Ends what was left behind, and brings its deposits back',
    execute: () =>
      told(async () => {
        const { text } = await client.post<Swept>('sweep');
        store.renew('wallet', 'jobs');
        return text;
      })
  });
  app.commands.addCommand(ATTACH, {
    label: 'Take Up What Goes On by Itself',
    caption: 'Put a cell below that attaches this notebook to its job, and run it',
    isEnabled: () => (notebooks?.currentWidget ?? null) !== null,
    execute: () => insert(nosana, ['%nosana attach'], { run: true })
  });
  app.commands.addCommand(REMOTE, {
    label: 'Let the Selected Cell Run on Nosana',
    caption: 'Write %%nosana above it, or take it away',
    isEnabled: () => notebooks?.activeCell?.model.type === 'code',
    execute: () => {
      const shared = notebooks?.activeCell?.model.sharedModel;
      if (shared) {
        const line = /^%%nosana\b[^\n]*\n?/.exec(shared.getSource());
        shared.updateSource(0, line ? line[0].length : 0, line ? '' : '%%nosana\n');
      }
    }
  });
}

/** Do it, and tell what came of it in the corner of the page. */
async function told(deed: () => Promise<string>): Promise<void> {
  try {
    Notification.success(await deed(), { autoClose: 5000 });
  } catch (error) {
    const { message, hint, money } = problemOf(error);
    Notification.error([`${message}.`, hint, money].filter(Boolean).join(' '), {
      autoClose: false
    });
  }
}
