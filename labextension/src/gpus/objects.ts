/**
 * What the objects in the kernel say of a cell's needs, which its code alone does not.
 *
 * The kernel is asked only while it is idle, without a trace in its history, and only if the
 * notebook has loaded nosana_jupyter: nothing is imported that the user did not want there.
 */

import { useEffect, useState } from 'react';

import { INotebookTracker, NotebookActions } from '@jupyterlab/notebook';
import { Kernel } from '@jupyterlab/services';

import { Needs, Reason } from '../api';

/** What an estimate of the kernel adds to that of the server. */
export type Sharper = Pick<Needs, 'low' | 'high' | 'need' | 'certain' | 'reasons' | 'notes'>;

/** Return what the kernel says of `code`, or null where it has nothing to say. */
export function useObjects(
  notebooks: INotebookTracker | null,
  code: string,
  shown: boolean
): Sharper | null {
  const [found, setFound] = useState<{ code: string; sharper: Sharper } | null>(null);
  const [ran, count] = useState(0);
  useEffect(() => {
    if (!shown) {
      return;
    }
    const executed = (): void => count(last => last + 1);
    NotebookActions.executed.connect(executed);
    return () => void NotebookActions.executed.disconnect(executed);
  }, [shown]);
  useEffect(() => {
    let wanted = true;
    const kernel = notebooks?.currentWidget?.sessionContext.session?.kernel ?? null;
    if (shown && kernel !== null && isPython(notebooks)) {
      void ask(kernel, code).then(sharper => {
        if (wanted) {
          setFound(sharper && { code, sharper });
        }
      });
    }
    return () => {
      wanted = false;
    };
  }, [notebooks, code, shown, ran]);
  return shown && found?.code === code ? found.sharper : null;
}

function isPython(notebooks: INotebookTracker | null): boolean {
  return notebooks?.currentWidget?.model?.defaultKernelLanguage === 'python';
}

async function ask(kernel: Kernel.IKernelConnection, code: string): Promise<Sharper | null> {
  if (kernel.status !== 'idle') {
    return null;
  }
  try {
    const future = kernel.requestExecute({
      code: '',
      silent: true,
      store_history: false,
      allow_stdin: false,
      user_expressions: { needs: expression(code) }
    });
    const { content } = await future.done;
    return content.status === 'ok' ? read(content.user_expressions['needs']) : null;
  } catch {
    // The kernel went away, or was restarted: what the code says is all there is.
    return null;
  }
}

/** Return an expression whose value is an estimate, as hexadecimal digits of JSON. */
function expression(code: string): string {
  const estimate =
    `__import__('nosana_jupyter.vram', fromlist=['estimate'])` +
    `.estimate(${JSON.stringify(code)}, namespace=get_ipython().user_ns)`;
  const spelled =
    `__import__('json').dumps(__import__('dataclasses').asdict(${estimate}))` + `.encode().hex()`;
  return `${spelled} if 'nosana_jupyter' in __import__('sys').modules else ''`;
}

interface Told {
  low: number;
  high: number;
  need: number;
  certain: boolean;
  gpu: boolean;
  reasons: { what: string; gib: number; sentence: string; source: string }[];
  notes: string[];
}

function read(value: unknown): Sharper | null {
  const shown = (value as { data?: Record<string, unknown> } | undefined)?.data?.['text/plain'];
  const digits = /^'((?:[0-9a-f]{2})+)'$/.exec(String(shown))?.[1];
  if (digits === undefined) {
    return null;
  }
  const bytes = Uint8Array.from(digits.match(/../g) ?? [], pair => parseInt(pair, 16));
  const told = JSON.parse(new TextDecoder().decode(bytes)) as Told;
  const live = told.reasons.some(each => each.source === 'live object');
  if (!live) {
    return null;
  }
  const reasons: Reason[] = told.reasons.map(({ what, gib, sentence, source }) => ({
    what,
    gib,
    text: sentence,
    source
  }));
  const { low, high, need, certain, notes } = told;
  return { low, high, need, certain, reasons, notes };
}
