/** What one can do to a job, and what came of it. */

import { useCallback, useState } from 'react';

import { Extended, Failed, Job, keyOf, More, Problem, problemOf, Stop, Stopped } from '../api';
import { INosana } from '../nosana';
import { insert, reveal } from '../notebooks';

export interface Deeds {
  /** What is being done; a second press does nothing. */
  readonly busy: '' | 'stop' | 'end' | 'extend' | 'open' | 'attach';
  /** What came of the last press. */
  readonly told: string;
  readonly problem: Problem | null;
  /** Whether the cell was interrupted: what is left is to end its job. */
  readonly interrupted: boolean;
  /** Does what `problem` asks to agree to. */
  readonly agree: (() => void) | null;
  readonly stop: () => void;
  readonly end: () => void;
  readonly extend: (seconds: number, agreed?: boolean) => void;
  readonly open: () => void;
  readonly attach: () => void;
  readonly forget: () => void;
}

export function useDeeds(nosana: INosana, job: Job): Deeds {
  const { client, store } = nosana;
  const [busy, setBusy] = useState<Deeds['busy']>('');
  const [told, setTold] = useState('');
  const [interrupted, setInterrupted] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [agree, setAgree] = useState<(() => void) | null>(null);
  const name = encodeURIComponent(job.job || keyOf(job));

  const act = async (what: Deeds['busy'], deed: () => Promise<string>): Promise<void> => {
    if (busy) {
      return;
    }
    setBusy(what);
    setProblem(null);
    setAgree(null);
    try {
      setTold(await deed());
    } catch (error) {
      setTold('');
      setProblem(problemOf(error));
    }
    setBusy('');
  };

  const halt = (what: 'stop' | 'end'): Promise<void> =>
    act(what, async () => {
      const body: Stop = { end: what === 'end' };
      const done = await client.post<Stopped>(`jobs/${name}/stop`, body);
      setInterrupted(done.how === 'interrupted');
      if (done.how === 'ended') {
        store.renew('jobs', 'wallet');
      }
      return done.text;
    });

  const extend = (seconds: number, agreed = false): Promise<void> =>
    act('extend', async () => {
      try {
        const body: More = { seconds, agreed };
        return (await client.post<Extended>(`jobs/${name}/extend`, body)).text;
      } catch (error) {
        if (error instanceof Failed && error.problem.kind === 'NotAgreed') {
          setAgree(() => () => void extend(seconds, true));
        }
        throw error;
      }
    });

  return {
    busy,
    told,
    problem,
    interrupted,
    agree,
    stop: () => void halt('stop'),
    end: () => void halt('end'),
    extend: (seconds, agreed) => void extend(seconds, agreed),
    open: () => void act('open', () => reveal(nosana, job).then(() => '')),
    attach: () =>
      void act('attach', () =>
        insert(nosana, [`%nosana attach ${job.job}`], { run: true }).then(() => '')
      ),
    forget: useCallback(() => {
      setTold('');
      setProblem(null);
      setAgree(null);
    }, [])
  };
}
