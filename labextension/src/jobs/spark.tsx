/** What a host's card did over time: its memory as an area, how busy it is as a line. */

import * as React from 'react';

import { Sample } from '../api';

const WIDE = 200;
const HIGH = 28;

export function Spark({ samples }: { samples: readonly Sample[] }): JSX.Element | null {
  const last = samples[samples.length - 1];
  if (!last || samples.length < 2) {
    return null;
  }
  const used = line(samples, each => (each.used === null ? null : each.used / (each.total || 1)));
  const busy = line(samples, each => (each.busy === null ? null : each.busy / 100));
  const words = [
    last.busy === null ? '' : `${last.card ? 'GPU' : 'CPU'} ${Math.round(last.busy)} %`,
    last.used === null
      ? ''
      : `${last.used.toFixed(1)}${last.total === null ? '' : ` of ${Math.round(last.total)}`} GiB`
  ].filter(Boolean);
  return (
    <div className="nj-Spark" role="img" aria-label={words.join(', ')}>
      <svg viewBox={`0 0 ${WIDE} ${HIGH}`} preserveAspectRatio="none" aria-hidden="true">
        {used && <path className="nj-Spark-area" d={`${used}L${WIDE} ${HIGH}L0 ${HIGH}Z`} />}
        {busy && <path className="nj-Spark-line" d={busy} />}
      </svg>
      <span className="nj-Number" aria-hidden="true">
        {words.map(each => (
          <span key={each}>{each}</span>
        ))}
      </span>
    </div>
  );
}

function line(samples: readonly Sample[], share: (sample: Sample) => number | null): string {
  const first = samples[0]?.at ?? 0;
  const wide = (samples[samples.length - 1]?.at ?? 0) - first || 1;
  const spots = samples.flatMap(each => {
    const value = share(each);
    const x = ((each.at - first) / wide) * WIDE;
    const y = HIGH - 1 - Math.min(1, Math.max(0, value ?? 0)) * (HIGH - 2);
    return value === null ? [] : [`${x.toFixed(1)} ${y.toFixed(1)}`];
  });
  return spots.length > 1 ? `M${spots.join('L')}` : '';
}
