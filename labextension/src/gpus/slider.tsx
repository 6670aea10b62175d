/** How much memory of a card is wanted: by hand, or as much as the cell needs. */

import * as React from 'react';
import { useId } from 'react';

/** Sizes that cards have, in GiB; 0 is any. */
export const SIZES: readonly number[] = [
  0, 4, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 141, 192, 320, 640
];

/** Return the smallest size that holds so much. */
export function sizeFor(need: number): number {
  return SIZES.find(size => size >= need) ?? SIZES[SIZES.length - 1] ?? 0;
}

export function sizeWords(size: number): string {
  return size === 0 ? 'Any card' : `${size} GiB`;
}

export function Slider(props: {
  size: number;
  /** What the cell needs at least and at most, where that is known. */
  range: readonly [number, number] | null;
  choose: (size: number) => void;
}): JSX.Element {
  const { size, range, choose } = props;
  const id = useId();
  const most = SIZES.length - 1;
  const percent = (gib: number): number => (100 * place(gib)) / most;
  return (
    <div className="nj-Slider">
      <label className="nj-Slider-words" htmlFor={id}>
        <span>GPU memory</span>
        <output htmlFor={id}>{size === 0 ? 'any card' : `at least ${size} GiB`}</output>
      </label>
      <div className="nj-Slider-track">
        {range && range[1] > 0 && (
          <span
            className="nj-Slider-need"
            aria-hidden="true"
            style={{
              left: `${percent(range[0])}%`,
              right: `${100 - percent(range[1])}%`
            }}
          />
        )}
        <input
          id={id}
          type="range"
          min={0}
          max={most}
          step={1}
          value={Math.max(0, SIZES.indexOf(size))}
          aria-valuetext={sizeWords(size)}
          style={{ '--nj-at': `${percent(size)}%` } as React.CSSProperties}
          onChange={event => choose(SIZES[Number(event.target.value)] ?? 0)}
        />
      </div>
    </div>
  );
}

/** Return where an amount stands among the sizes: between two, in proportion. */
function place(gib: number): number {
  const above = SIZES.findIndex(size => size >= gib);
  if (above <= 0) {
    return above === 0 ? 0 : SIZES.length - 1;
  }
  const [low, high] = [SIZES[above - 1] ?? 0, SIZES[above] ?? 0];
  return above - 1 + (gib - low) / (high - low || 1);
}
