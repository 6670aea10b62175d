/** A clock that all who show it share; it stands still while nobody is seen. */

import { useSyncExternalStore } from 'react';

const tellers = new Set<() => void>();
let timer = 0;
let now = Date.now() / 1000;

function listen(tell: () => void): () => void {
  tellers.add(tell);
  if (tellers.size === 1) {
    timer = window.setInterval(tick, 1000);
  }
  return () => {
    tellers.delete(tell);
    if (tellers.size === 0) {
      window.clearInterval(timer);
    }
  };
}

function tick(): void {
  if (!document.hidden) {
    now = Date.now() / 1000;
    tellers.forEach(tell => tell());
  }
}

const still = (): (() => void) => () => undefined;

/** Return the Unix time, anew each second while `ticking`. */
export function useNow(ticking: boolean): number {
  if (tellers.size === 0) {
    now = Date.now() / 1000;
  }
  return useSyncExternalStore(ticking ? listen : still, () => now);
}
