/** What the selected cell needs, and why. */

import * as React from 'react';

import { Answer, Needs } from '../api';
import { Empty, Trouble, Waiting } from '../panel/notes';
import { CurrentCell } from './cell';

export function Estimate(props: {
  cell: CurrentCell;
  answer: Answer<Needs | null>;
  /** Whether objects of the kernel were looked at. */
  sharpened: boolean;
}): JSX.Element {
  const { cell, answer } = props;
  if (cell.kind !== 'code') {
    return (
      <Empty>
        {cell.kind === 'none'
          ? 'Open a notebook to see what its cells need, or choose by hand.'
          : 'This cell is text. Select a code cell to see what it needs.'}
      </Empty>
    );
  }
  if (cell.code.trim() === '') {
    return <Empty>This cell is empty. What you write here is looked at as you type.</Empty>;
  }
  if (answer.problem) {
    return (
      <Trouble problem={answer.problem}>
        <button type="button" className="nj-Button" onClick={answer.again}>
          Look again
        </button>
      </Trouble>
    );
  }
  if (answer.value === null) {
    return <Waiting lines={2} />;
  }
  return <Told needs={answer.value} sharpened={props.sharpened} />;
}

function Told({ needs, sharpened }: { needs: Needs; sharpened: boolean }): JSX.Element {
  const none = needs.high === 0;
  const broken = none && needs.need === 0 && !needs.certain;
  return (
    <div className="nj-Estimate">
      <p className="nj-Estimate-line">
        <span>This cell</span>
        <strong>
          {broken ? 'cannot be told' : told(needs)}
        </strong>
      </p>
      {needs.reasons.length > 0 && (
        <ul className="nj-Reasons" aria-label="Reasons">
          {needs.reasons.map((each, at) => (
            <li key={at}>
              <span>{each.what}</span>
              <span className="nj-Number">{amount(each.gib)} GiB</span>
            </li>
          ))}
        </ul>
      )}
      {needs.reasons.length > 0 && (
        <details className="nj-Why">
          <summary>Why</summary>
          {needs.reasons.map((each, at) => (
            <p key={at}>{each.text || each.what}.</p>
          ))}
        </details>
      )}
      {asksTooLittle(needs) && (
        <p className="nj-Foreign">
          Its line asks for {amount(needs.need)} GiB, which is less than that.
        </p>
      )}
      {needs.notes.map((each, at) => (
        <p key={at} className="nj-Note">
          {each}
        </p>
      ))}
      {!needs.certain && !broken && (
        <p className="nj-Note">Not all of it could be told: the high end is what is asked for.</p>
      )}
      {sharpened && <p className="nj-Note">Objects in the kernel were looked at.</p>}
    </div>
  );
}

function told(needs: Needs): string {
  if (needs.high > 0) {
    return `needs ${range(needs)}`;
  }
  return needs.need > 0 ? `asks for ${amount(needs.need)} GiB` : 'needs no GPU memory';
}

/** Whether the cell's own line asks for less than it takes. */
export function asksTooLittle({ need, low }: Needs): boolean {
  return need > 0 && need < low;
}

function range({ low, high }: Needs): string {
  const [least, most] = [amount(low), amount(high)];
  return least === most ? `about ${most} GiB` : `${least}–${most} GiB`;
}

function amount(gib: number): string {
  return gib >= 10 ? String(Math.round(gib)) : String(Math.round(gib * 10) / 10);
}
