/** Which notebook is in front: what is set for it holds in what is shown. */

import { useEffect, useState } from 'react';

import { INosana } from '../nosana';

/** Return the path of the notebook in front, anew whenever that is another; empty without one. */
export function useNotebook({ notebooks }: INosana, shown: boolean): string {
  const [path, setPath] = useState(() => notebooks?.currentWidget?.context.path ?? '');
  useEffect(() => {
    if (!shown || notebooks === null) {
      return;
    }
    const look = (): void => setPath(notebooks.currentWidget?.context.path ?? '');
    look();
    notebooks.currentChanged.connect(look);
    return () => void notebooks.currentChanged.disconnect(look);
  }, [notebooks, shown]);
  return path;
}

/** Return the folder of a path, below the server's root. */
export function folderIn(path: string): string {
  return path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '';
}
