/** Cells that a kernel writes: what is clicked together in a form of ours comes below it. */

import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import { Kernel } from '@jupyterlab/services';

import { INosana } from './nosana';
import { insert } from './notebooks';

/** Name under which kernels open comms to tell of a cell. */
const TARGET = 'nosana-jupyter:cell';

const LONGEST = 100_000;

export const written: JupyterFrontEndPlugin<void> = {
  id: 'nosana-jupyter:written',
  description: 'Puts what is chosen in a form of ours into a cell.',
  autoStart: true,
  requires: [INosana, INotebookTracker],
  activate: (_app: JupyterFrontEnd, nosana: INosana, notebooks: INotebookTracker) => {
    const known = new WeakSet<Kernel.IKernelConnection>();
    const hear = (panel: NotebookPanel): void => {
      const kernel = panel.sessionContext.session?.kernel;
      if (!kernel || known.has(kernel)) {
        return;
      }
      known.add(kernel);
      kernel.registerCommTarget(TARGET, (_comm, { content }) => {
        const source = content.data['source'];
        // Each page that shows the notebook hears of it: the one that was clicked in has the focus.
        const mine = notebooks.currentWidget === panel && document.hasFocus();
        if (mine && typeof source === 'string' && source.length <= LONGEST) {
          void insert(nosana, [source]);
        }
      });
    };
    const follow = (panel: NotebookPanel): void => {
      panel.sessionContext.kernelChanged.connect(() => hear(panel));
      hear(panel);
    };
    notebooks.forEach(follow);
    notebooks.widgetAdded.connect((_, panel) => follow(panel));
  }
};
