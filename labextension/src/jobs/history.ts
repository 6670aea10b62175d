/** What is over, a page at a time: what has been loaded stays while newer jobs come in above it. */

import { useCallback, useEffect, useRef, useState } from 'react';

import { Job, Jobs, keyOf, Problem, problemOf } from '../api';
import { INosana } from '../nosana';

export const PAGE = 100;

export interface History {
  readonly jobs: readonly Job[] | null;
  readonly total: number;
  readonly problem: Problem | null;
  readonly busy: boolean;
  readonly more: () => void;
  readonly again: () => void;
}

interface Loaded {
  readonly query: string;
  readonly jobs: readonly Job[];
  readonly total: number;
}

export function useHistory(
  { client }: INosana,
  { query, stale, shown }: { query: string; stale: number; shown: boolean }
): History {
  const [loaded, setLoaded] = useState<Loaded | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const [press, setPress] = useState(0);
  const turn = useRef(0);

  const load = useCallback(
    async (offset: number) => {
      const mine = ++turn.current;
      setBusy(true);
      try {
        const page = await client.get<Jobs>('jobs', { q: query, offset, limit: PAGE });
        if (mine !== turn.current) {
          return;
        }
        setLoaded(last => {
          const before = last?.query === query ? last.jobs : [];
          return { query, total: page.total, jobs: merged(before, page.over, offset) };
        });
        setProblem(null);
      } catch (error) {
        if (mine !== turn.current) {
          return;
        }
        setProblem(problemOf(error));
      }
      setBusy(false);
    },
    [client, query]
  );

  useEffect(() => {
    if (shown) {
      void load(0);
    }
  }, [load, shown, stale, press]);

  const count = loaded?.jobs.length ?? 0;
  return {
    jobs: loaded?.jobs ?? null,
    total: loaded?.total ?? 0,
    problem,
    busy,
    more: useCallback(() => void load(count), [load, count]),
    again: useCallback(() => setPress(number => number + 1), [])
  };
}

/** Put a page among what is there: newest first, each job once, in its latest form. */
export function merged(
  before: readonly Job[],
  page: readonly Job[],
  offset: number
): readonly Job[] {
  const fresh = new Map(page.map(job => [keyOf(job), job]));
  const old = before.filter(job => !fresh.has(keyOf(job)));
  return offset === 0 ? [...page, ...old] : [...old, ...page];
}
