/** The sign before a job: its form says how it stands, and its colour says so once more. */

import * as React from 'react';

import { Kind } from './words';

const FORMS: Readonly<Record<Kind, JSX.Element>> = {
  works: <circle cx="6" cy="6" r="4" fill="currentColor" />,
  waits: <path d="M6 1.8a4.2 4.2 0 1 1-4.2 4.2" />,
  alone: (
    <>
      <circle cx="6" cy="6" r="4.4" />
      <circle cx="6" cy="6" r="2" fill="currentColor" stroke="none" />
    </>
  ),
  done: <path d="M2 6.4 4.8 9.2 10 3.4" />,
  failed: <path d="M2.8 2.8 9.2 9.2M9.2 2.8 2.8 9.2" />,
  stopped: <rect x="2.6" y="2.6" width="6.8" height="6.8" rx="1" fill="currentColor" />
};

export function Sign({ kind }: { kind: Kind }): JSX.Element {
  return (
    <svg className="nj-JobSign" data-kind={kind} viewBox="0 0 12 12" aria-hidden="true">
      {FORMS[kind]}
    </svg>
  );
}
