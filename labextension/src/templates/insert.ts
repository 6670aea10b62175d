/** How a template gets into a notebook. Nothing is run by this. */

import { INosana } from '../nosana';
import { insert } from '../notebooks';

const LOAD = '%load_ext nosana_jupyter';

/** Put cells below the selected one. */
export async function insertCells(nosana: INosana, cells: readonly string[]): Promise<void> {
  const sources = cells.map(each => each.trimEnd());
  await insert(nosana, knowsUs(nosana) ? sources : [LOAD, ...sources]);
}

/** Whether some cell of the notebook in front loads our magics already. */
function knowsUs({ notebooks }: INosana): boolean {
  const cells = notebooks?.currentWidget?.content.model?.sharedModel.cells ?? [];
  return cells.some(each => /\bnosana_jupyter\b|^%%?nosana\b/m.test(each.getSource()));
}

/** Show a file that was made. */
export function openFile({ app }: INosana, path: string): void {
  void app.commands.execute('docmanager:open', { path });
}
