/** The cell under the cursor: what stands in it, and how its magic line is changed. */

import { useEffect, useState } from 'react';

import { Cell } from '@jupyterlab/cells';
import { INotebookTracker } from '@jupyterlab/notebook';

import { edited, NoEdit, Options } from './options';

export interface CurrentCell {
  kind: 'none' | 'text' | 'code';
  code: string;
}

const NONE: CurrentCell = { kind: 'none', code: '' };

/** How long nothing is typed until a cell is looked at, in milliseconds. */
const PAUSE = 450;

/** Return the selected cell, and follow what is typed into it while `shown`. */
export function useCell(notebooks: INotebookTracker | null, shown: boolean): CurrentCell {
  const [current, setCurrent] = useState(NONE);
  useEffect(() => {
    if (!shown || notebooks === null) {
      return;
    }
    let waits = 0;
    let cell: Cell | null = null;
    const look = (): void => {
      const now = currentCell(notebooks);
      setCurrent(last => (last.kind === now.kind && last.code === now.code ? last : now));
    };
    const typed = (): void => {
      window.clearTimeout(waits);
      waits = window.setTimeout(look, PAUSE);
    };
    const leave = (): void => {
      window.clearTimeout(waits);
      if (cell !== null && !cell.isDisposed) {
        cell.model.sharedModel.changed.disconnect(typed);
      }
    };
    const turned = (): void => {
      leave();
      cell = notebooks.activeCell;
      cell?.model.sharedModel.changed.connect(typed);
      look();
    };
    turned();
    notebooks.activeCellChanged.connect(turned);
    notebooks.currentChanged.connect(turned);
    return () => {
      leave();
      notebooks.activeCellChanged.disconnect(turned);
      notebooks.currentChanged.disconnect(turned);
    };
  }, [notebooks, shown]);
  return current;
}

function currentCell(notebooks: INotebookTracker): CurrentCell {
  const model = notebooks.activeCell?.model;
  if (!model || notebooks.currentWidget === null) {
    return NONE;
  }
  if (model.type !== 'code') {
    return { kind: 'text', code: '' };
  }
  return { kind: 'code', code: model.sharedModel.getSource() };
}

/**
 * Write options into the magic line of the selected cell: one step for undo.
 *
 * @throws NoEdit there is no such cell, or its line is not to be changed
 */
export function writeOptions(notebooks: INotebookTracker | null, options: Options): void {
  const cell = notebooks?.activeCell ?? null;
  if (cell === null || cell.model.type !== 'code') {
    throw new NoEdit('Select a code cell first.');
  }
  if (cell.readOnly || cell.model.getMetadata('editable') === false) {
    throw new NoEdit('This cell may not be edited.');
  }
  const shared = cell.model.sharedModel;
  const { start, end, text } = edited(shared.getSource(), options);
  apart(shared);
  shared.updateSource(start, end, text);
  apart(shared);
}

/** Keep what was typed just before, or is typed just after, out of the same step of undo. */
function apart(shared: object): void {
  const { undoManager } = shared as { undoManager?: { stopCapturing?: () => void } | null };
  undoManager?.stopCapturing?.();
}
