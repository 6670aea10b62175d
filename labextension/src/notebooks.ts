/** What is done in notebooks: cells are put in and run, and the cell of a job is found. */

import { DocumentWidget } from '@jupyterlab/docregistry';
import { INotebookModel, NotebookActions, NotebookPanel } from '@jupyterlab/notebook';

import { Failed, Job } from './api';
import { folderIn } from './look/place';
import { INosana } from './nosana';

const CARD = 'application/vnd.nosana.job+json';

/** Return the notebook that was in front last, or say that there is none. */
function current({ notebooks }: INosana): NotebookPanel {
  const panel = notebooks?.currentWidget ?? null;
  if (panel === null) {
    throw new Failed({
      message: 'no notebook is open',
      hint: 'Open the one that is to have the cell, and press again.',
      money: '',
      kind: ''
    });
  }
  return panel;
}

/** Folder of the notebook in front, below the server's root. */
export function folderOf({ notebooks }: INosana): string {
  return folderIn(notebooks?.currentWidget?.context.path ?? '');
}

/** Put cells below the selected one; select the last, and run them where that is meant. */
export async function insert(
  nosana: INosana,
  sources: readonly string[],
  { run = false }: { run?: boolean } = {}
): Promise<void> {
  const panel = current(nosana);
  const notebook = panel.content;
  nosana.app.shell.activateById(panel.id);
  for (const source of sources) {
    const active = notebook.activeCell;
    // An empty cell is where one would have written it.
    const empty = active?.model.type === 'code' && active.model.sharedModel.getSource() === '';
    if (!empty) {
      NotebookActions.insertBelow(notebook);
      NotebookActions.changeCellType(notebook, 'code');
    }
    notebook.activeCell?.model.sharedModel.setSource(source);
    if (run) {
      void NotebookActions.run(notebook, panel.sessionContext);
    }
  }
  const cell = notebook.activeCell;
  if (cell) {
    await notebook.scrollToCell(cell, 'smart').catch(() => undefined);
  }
}

/** Show the cell of a job: its notebook in front, the cell selected and in sight. */
export async function reveal(nosana: INosana, job: Job): Promise<void> {
  const opened: unknown = await nosana.app.commands.execute('docmanager:open', {
    path: job.notebook,
    factory: 'Notebook'
  });
  const panel = opened as DocumentWidget<NotebookPanel['content'], INotebookModel> | undefined;
  if (!panel) {
    return;
  }
  await panel.context.ready;
  const notebook = panel.content;
  const index = notebook.widgets.findIndex(cell => shows(cell.model.toJSON(), job));
  const found =
    index >= 0
      ? index
      : notebook.widgets.findIndex(
          cell =>
            cell.model.type === 'code' &&
            job.title !== '' &&
            cell.model.sharedModel.getSource().split('\n').includes(job.title)
        );
  const cell = notebook.widgets[found];
  if (cell) {
    notebook.activeCellIndex = found;
    notebook.deselectAll();
    await notebook.scrollToCell(cell, 'smart');
    cell.node.focus({ preventScroll: true });
  }
}

/** Whether the card of the job stands below a cell. */
function shows(cell: unknown, job: Job): boolean {
  const { outputs } = cell as { outputs?: { data?: Record<string, unknown> }[] };
  return (outputs ?? []).some(({ data }) => {
    const card = data?.[CARD] as { cell?: string; job?: string } | undefined;
    return (
      card !== undefined &&
      ((card.cell && card.cell === job.cell) || (job.job !== '' && card.job === job.job))
    );
  });
}
