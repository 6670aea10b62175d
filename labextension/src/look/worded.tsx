/** Texts in which a word or two is code. */

import * as React from 'react';

/** Return a text in which what stands between backticks looks like code. */
export function worded(text: string): React.ReactNode[] {
  return text
    .split('`')
    .map((part, at) => (at % 2 === 1 ? <code key={at}>{part}</code> : part));
}
