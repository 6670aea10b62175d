/** An answer of the server as a component has it: asked when shown, and again when it is stale. */

import { useCallback, useEffect, useRef, useState } from 'react';

import { problemOf } from './client';
import { Problem } from './types';

export interface Answer<T> {
  /** The last that came: it stays while a newer one is under way. */
  readonly value: T | null;
  readonly problem: Problem | null;
  readonly busy: boolean;
  readonly again: () => void;
}

/**
 * Ask with `ask`, now and whenever `stale` changes; nothing is asked while not `shown`.
 *
 * Of answers that overtake each other, the last that was asked for counts.
 */
export function useAnswer<T>(
  ask: () => Promise<T>,
  { stale, shown }: { stale: unknown; shown: boolean }
): Answer<T> {
  const [state, setState] = useState({ value: null as T | null, problem: null as Problem | null });
  const [busy, setBusy] = useState(false);
  const [press, setPress] = useState(0);
  const turn = useRef(0);

  useEffect(() => {
    if (!shown) {
      return;
    }
    const mine = ++turn.current;
    setBusy(true);
    ask().then(
      value => {
        if (mine === turn.current) {
          setState({ value, problem: null });
          setBusy(false);
        }
      },
      (error: unknown) => {
        if (mine === turn.current) {
          setState(last => ({ value: last.value, problem: problemOf(error) }));
          setBusy(false);
        }
      }
    );
  }, [ask, stale, shown, press]);

  const again = useCallback(() => setPress(count => count + 1), []);
  return { ...state, busy, again };
}
