/** A QR code as the server drew it: black on white in any theme, so that cameras read it. */

import * as React from 'react';

/** Modules that stay white around it. */
const QUIET = 4;

export function Qr(props: { modules: string; label: string }): JSX.Element {
  const rows = props.modules.split('\n');
  const size = rows.length + 2 * QUIET;
  const dark = rows.flatMap((row, y) =>
    [...row].flatMap((module, x) =>
      module === '1' ? [`M${x + QUIET} ${y + QUIET}h1v1h-1z`] : []
    )
  );
  return (
    <svg
      className="nj-Qr"
      viewBox={`0 0 ${size} ${size}`}
      shapeRendering="crispEdges"
      role="img"
      aria-label={props.label}
    >
      <rect width={size} height={size} fill="#fff" />
      <path d={dark.join('')} fill="#000" />
    </svg>
  );
}
