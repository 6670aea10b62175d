/** Code to read, in the colours that the theme gives it in cells. */

import * as React from 'react';
import { useEffect, useRef } from 'react';

import { Template } from '../api';
import { INosana } from '../nosana';

export function Code(props: {
  nosana: INosana;
  template: Template;
  open?: boolean;
}): JSX.Element {
  const { template } = props;
  const node = useRef<HTMLPreElement>(null);
  const { languages } = props.nosana;
  const mime = template.kind === 'definition' ? 'application/json' : 'text/x-python';
  useEffect(() => {
    let wanted = true;
    const coloured = document.createElement('code');
    // It makes elements of text alone, whatever the code says.
    void languages
      ?.highlight(template.code, languages.findByMIME(mime), coloured)
      .then(() => wanted && node.current?.replaceChildren(coloured));
    return () => {
      wanted = false;
    };
  }, [languages, mime, template.code]);
  return (
    <details className="nj-Code" open={props.open}>
      <summary>Code</summary>
      {/* What scrolls must be reached by the keyboard. */}
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <pre ref={node} tabIndex={0} aria-label={`Code of ${template.title}`} role="region">
        {template.code}
      </pre>
    </details>
  );
}
