/** The section `Templates` of the panel: a gallery, and a page for what is done with it. */

import * as React from 'react';
import { useCallback, useEffect, useRef, useState } from 'react';

import { caretLeftIcon } from '@jupyterlab/ui-components';

import { Templates as Found, useAnswer, useStore } from '../api';
import { folderIn, useNotebook } from '../look/place';
import { INosana } from '../nosana';
import { Trouble, useShown, Waiting } from '../panel';
import { Bring } from './bring';
import { List } from './list';
import { Save } from './save';
import { Use } from './use';

type Page = { at: 'list' } | { at: 'one'; name: string } | { at: 'save' } | { at: 'bring' };

export function Templates({ nosana }: { nosana: INosana }): JSX.Element {
  const shown = useShown();
  const stale = useStore(nosana.store, state => state.stale.templates);
  const folder = folderIn(useNotebook(nosana, shown));
  const answer = useAnswer(
    useCallback(
      () => nosana.client.get<Found>('templates', { folder }),
      [nosana, folder]
    ),
    { stale, shown }
  );
  const [page, turn] = useState<Page>({ at: 'list' });
  const node = useRef<HTMLDivElement>(null);
  const turned = useRef(false);
  const go = (next: Page): void => {
    turned.current = true;
    turn(next);
  };
  useEffect(() => {
    // Who came by keyboard goes on where the new page begins.
    if (turned.current) {
      node.current?.querySelector<HTMLElement>('button, input')?.focus();
    }
  }, [page]);
  const one = (name: string): void => go(name ? { at: 'one', name } : { at: 'list' });
  return (
    <div ref={node} className="nj-Gallery">
      {page.at !== 'list' && <Back go={() => go({ at: 'list' })} />}
      {page.at === 'list' && answer.problem && (
        <Trouble problem={answer.problem}>
          <button type="button" className="nj-Button" onClick={answer.again}>
            Try again
          </button>
        </Trouble>
      )}
      {page.at === 'list' &&
        (answer.value ? (
          <List
            found={answer.value}
            open={one}
            save={() => go({ at: 'save' })}
            bring={() => go({ at: 'bring' })}
          />
        ) : (
          !answer.problem && <Waiting lines={6} />
        ))}
      {page.at === 'one' && (
        <Use key={page.name} nosana={nosana} name={page.name} gone={() => go({ at: 'list' })} />
      )}
      {page.at === 'save' && <Save nosana={nosana} saved={one} />}
      {page.at === 'bring' && <Bring nosana={nosana} brought={one} />}
    </div>
  );
}

function Back({ go }: { go: () => void }): JSX.Element {
  return (
    <button type="button" className="nj-Button nj-Back" data-kind="link" onClick={go}>
      <caretLeftIcon.react tag="span" />
      All templates
    </button>
  );
}
