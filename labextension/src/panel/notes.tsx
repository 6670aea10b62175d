/** What stands where there is nothing to show, or something went wrong: always with a way on. */

import * as React from 'react';

import { Problem } from '../api';
import { worded } from '../look/worded';

/** Say that there is nothing yet, and how there would be. */
export function Empty(props: { children: React.ReactNode }): JSX.Element {
  return <p className="nj-Empty">{props.children}</p>;
}

/** Say what is wrong and what to do; `children` are buttons that do it. */
export function Trouble(props: {
  problem: Problem | string;
  children?: React.ReactNode;
}): JSX.Element {
  const { problem } = props;
  const said =
    typeof problem === 'string' ? { message: problem, hint: '', money: '' } : problem;
  return (
    <div className="nj-Trouble" role="alert">
      <p className="nj-Trouble-message">{capital(said.message)}</p>
      {said.hint && <p>{worded(said.hint)}</p>}
      {said.money && <p>{capital(said.money)}</p>}
      {props.children && <div className="nj-Buttons">{props.children}</div>}
    </div>
  );
}

/** Begin a sentence, but for names as those of hosts and of files are. */
function capital(text: string): string {
  return /^[^\s]*[./_]\w/.test(text) ? text : text.charAt(0).toUpperCase() + text.slice(1);
}

/** A place that is kept for what has been asked and is not there yet. */
export function Waiting(props: { lines?: number }): JSX.Element {
  return (
    <div className="nj-Waiting" aria-hidden="true">
      {Array.from({ length: props.lines ?? 3 }, (_, line) => (
        <span key={line} />
      ))}
    </div>
  );
}
