/** A part of the panel that opens and closes, and remembers which. */

import * as React from 'react';
import { useContext, useId, useState } from 'react';

import { caretDownIcon, caretRightIcon } from '@jupyterlab/ui-components';

/** Whether what is inside can be seen: the panel is shown, and the section is open. */
export const Shown = React.createContext(true);

export function useShown(): boolean {
  return useContext(Shown);
}

const CLOSED = 'nosana-jupyter:closed';

export function Section(props: {
  name: string;
  title: string;
  /** Stands at the right of the title, as a count does. */
  aside?: React.ReactNode;
  children: React.ReactNode;
}): JSX.Element {
  const [open, setOpen] = useState(() => !closed().includes(props.name));
  const shown = useShown();
  const body = useId();
  const turn = (): void => {
    const others = closed().filter(name => name !== props.name);
    localStorage.setItem(CLOSED, JSON.stringify(open ? [...others, props.name] : others));
    setOpen(!open);
  };
  const Caret = open ? caretDownIcon : caretRightIcon;
  return (
    <section className="nj-Section" data-name={props.name} aria-label={props.title}>
      <h2 className="nj-Section-head">
        <button type="button" aria-expanded={open} aria-controls={body} onClick={turn}>
          <Caret.react tag="span" className="nj-Section-caret" />
          <span className="nj-Section-title">{props.title}</span>
          <span className="nj-Section-aside">{props.aside}</span>
        </button>
      </h2>
      <div id={body} className="nj-Section-body" hidden={!open}>
        <Shown.Provider value={shown && open}>{props.children}</Shown.Provider>
      </div>
    </section>
  );
}

function closed(): string[] {
  try {
    return JSON.parse(localStorage.getItem(CLOSED) ?? '[]') as string[];
  } catch {
    return [];
  }
}
