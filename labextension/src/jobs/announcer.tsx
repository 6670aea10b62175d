/** Says to a screen reader when a job begins, changes its state or is over. */

import * as React from 'react';
import { useEffect, useRef, useState } from 'react';

import { Job, keyOf } from '../api';
import { kindOf, said } from './words';

const KINDS: Partial<Record<ReturnType<typeof kindOf>, string>> = {
  works: 'runs',
  waits: 'waits for a host',
  alone: 'goes on by itself'
};

export function Announcer({ running }: { running: readonly Job[] }): JSX.Element {
  const [text, setText] = useState('');
  const before = useRef<ReadonlyMap<string, Job> | null>(null);
  useEffect(() => {
    const now = new Map(running.map(job => [keyOf(job), job]));
    const last = before.current;
    before.current = now;
    if (last === null) {
      return;
    }
    const news = [
      ...[...now].flatMap(([key, job]) => {
        const old = last.get(key);
        return old && kindOf(old) === kindOf(job) ? [] : [spoken(job)];
      }),
      ...[...last].flatMap(([key, job]) => (now.has(key) ? [] : [`${job.title}: is over`]))
    ];
    if (news.length) {
      setText(news.slice(0, 3).join('. '));
    }
  }, [running]);
  return (
    <p className="nj-Hidden" role="status" aria-live="polite">
      {text}
    </p>
  );
}

function spoken(job: Job): string {
  return `${job.title}: ${KINDS[kindOf(job)] ?? said(job)}`;
}
