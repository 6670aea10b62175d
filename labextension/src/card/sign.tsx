/** The sign before a card's state: its form tells it, and not its colour alone. */

import * as React from 'react';

import { End, State } from '../api';
import { Trust } from './facts';

export function Sign(props: { state: State; end: End; trust: Trust }): JSX.Element {
  const kind = kindOf(props.state, props.end, props.trust);
  return (
    <svg className={`nj-Sign nj-Sign-${kind}`} viewBox="0 0 12 12" aria-hidden="true">
      {FORMS[kind]}
    </svg>
  );
}

type Kind = 'works' | 'waits' | 'alone' | 'done' | 'failed' | 'stopped' | 'unknown';

const FORMS: Readonly<Record<Kind, JSX.Element>> = {
  works: <circle cx="6" cy="6" r="4" fill="currentColor" />,
  waits: (
    <>
      <circle className="nj-Sign-track" cx="6" cy="6" r="4.2" />
      <path className="nj-Sign-arc" d="M6 1.8a4.2 4.2 0 0 1 4.2 4.2" />
    </>
  ),
  alone: (
    <>
      <circle className="nj-Sign-arc" cx="6" cy="6" r="4.6" />
      <circle cx="6" cy="6" r="2.2" fill="currentColor" />
    </>
  ),
  done: <path className="nj-Sign-arc" d="M2 6.4 4.8 9.2 10 3.4" />,
  failed: <path className="nj-Sign-arc" d="M2.8 2.8 9.2 9.2M9.2 2.8 2.8 9.2" />,
  stopped: <rect x="2.6" y="2.6" width="6.8" height="6.8" rx="1" fill="currentColor" />,
  unknown: <circle className="nj-Sign-arc" cx="6" cy="6" r="4.2" strokeDasharray="1.6 1.7" />
};

function kindOf(state: State, end: End, trust: Trust): Kind {
  if (state === 'ended') {
    return end === 'done' ? 'done' : end === 'interrupted' ? 'stopped' : end ? 'failed' : 'stopped';
  }
  if (trust === 'unknown') {
    return 'unknown';
  }
  return state === 'running' ? 'works' : state === 'detached' ? 'alone' : 'waits';
}
