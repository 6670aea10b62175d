/** What a host's card did over time, as a line. */

import * as React from 'react';

import { Sample } from '../api';
import { span } from '../look/words';

const WIDE = 240;
const HIGH = 40;

export function Chart(props: {
  title: string;
  /** What stands beside the title: the last value. */
  now: string;
  note?: string;
  points: readonly (readonly [number, number])[];
  /** Value at the top of the chart. */
  most: number;
}): JSX.Element {
  const { title, now, note, points, most } = props;
  const line = path(points, most);
  const [first, last] = [points[0], points[points.length - 1]];
  const over = first && last ? span(last[0] - first[0]) : '';
  const said = [`${title}: ${now}`, note, over && `over ${over}`].filter(Boolean).join(', ');
  return (
    <figure className="nj-Chart">
      <figcaption aria-hidden="true">
        <span>{title}</span>
        <strong>{now}</strong>
      </figcaption>
      <div className="nj-Chart-plot" role="img" aria-label={said}>
        <svg viewBox={`0 0 ${WIDE} ${HIGH}`} preserveAspectRatio="none" aria-hidden="true">
          <path className="nj-Chart-area" d={`${line}L${WIDE} ${HIGH}L0 ${HIGH}Z`} />
          <path className="nj-Chart-line" d={line} />
        </svg>
        {last && (
          <span
            className="nj-Chart-end"
            style={{ top: `${100 * (1 - height(last[1], most))}%` }}
          />
        )}
      </div>
      <div className="nj-Chart-foot" aria-hidden="true">
        <span>{over && `last ${over}`}</span>
        <span>{note}</span>
      </div>
    </figure>
  );
}

/** Return the points of a series, without those at which it was not known. */
export function series(
  samples: readonly Sample[],
  pick: (sample: Sample) => number | null
): [number, number][] {
  return samples.flatMap(each => {
    const value = pick(each);
    return value === null ? [] : [[each.at, value] as [number, number]];
  });
}

/** Return a line through the points, from the left edge to the right one. */
export function path(points: readonly (readonly [number, number])[], most: number): string {
  const first = points[0]?.[0] ?? 0;
  const last = points[points.length - 1]?.[0] ?? 0;
  const wide = last - first || 1;
  const spots = points.map(([at, value]) => {
    const x = points.length === 1 ? WIDE : ((at - first) / wide) * WIDE;
    return `${round(x)} ${round(HIGH * (1 - height(value, most)))}`;
  });
  if (spots.length === 1) {
    spots.unshift(`0 ${spots[0]?.split(' ')[1]}`);
  }
  return spots.length ? `M${spots.join('L')}` : '';
}

function height(value: number, most: number): number {
  return Math.min(1, Math.max(0, most > 0 ? value / most : 0));
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
