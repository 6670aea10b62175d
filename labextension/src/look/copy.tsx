/** A button that copies a text, and says that it has. */

import * as React from 'react';
import { useEffect, useState } from 'react';

import { copyIcon } from '@jupyterlab/ui-components';

import { copyDoneIcon } from './icons';

export function Copy(props: { text: string; what: string }): JSX.Element {
  const [done, setDone] = useState(false);
  useEffect(() => {
    const timer = done ? window.setTimeout(() => setDone(false), 1600) : 0;
    return () => window.clearTimeout(timer);
  }, [done]);
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(props.text);
    setDone(true);
  };
  const Icon = done ? copyDoneIcon : copyIcon;
  return (
    <>
      <button
        type="button"
        className="nj-Button"
        data-kind="icon"
        title={`Copy ${props.what}`}
        aria-label={`Copy ${props.what}`}
        onClick={() => void copy()}
      >
        <Icon.react tag="span" className="nj-Icon" />
      </button>
      <span className="nj-Hidden" role="status">
        {done ? 'Copied' : ''}
      </span>
    </>
  );
}
