/** The job card: what stands under a cell while it runs on a host, and afterwards. */

import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';

import { INosana } from '../nosana';
import { cardFactory, RANK } from './renderer';

export const card: JupyterFrontEndPlugin<void> = {
  id: 'nosana-jupyter:card',
  description: 'Draws the card of a job that runs elsewhere.',
  autoStart: true,
  requires: [INosana, IRenderMimeRegistry],
  activate: (_app: JupyterFrontEnd, nosana: INosana, rendermime: IRenderMimeRegistry) => {
    rendermime.addFactory(cardFactory(nosana), RANK);
  }
};
