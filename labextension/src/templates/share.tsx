/** Sharing a template with others, and removing one of the user's own: both are asked twice. */

import * as React from 'react';
import { useState } from 'react';

import { copyIcon } from '@jupyterlab/ui-components';

import { Problem, problemOf, Shared, Template } from '../api';
import { INosana } from '../nosana';
import { folderOf } from '../notebooks';
import { Trouble } from '../panel';
import { routeOf } from './use';

type Asked = '' | 'share' | 'remove';

export function Share(props: {
  nosana: INosana;
  template: Template;
  gone: () => void;
}): JSX.Element | null {
  const { nosana, template } = props;
  const [asked, ask] = useState<Asked>('');
  const [busy, setBusy] = useState(false);
  const [shared, setShared] = useState<Shared | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const own = !template.foreign && template.shelf !== 'built in';
  const removable = template.shelf === 'user';
  if (!own && !removable) {
    return null;
  }

  const act = async (): Promise<void> => {
    setBusy(true);
    setProblem(null);
    try {
      const folder = folderOf(nosana);
      if (asked === 'share') {
        const query = new URLSearchParams({ folder }).toString();
        const route = `${routeOf(template.name)}/share?${query}`;
        setShared(await nosana.client.post<Shared>(route));
      } else {
        await nosana.client.remove(routeOf(template.name), { folder });
        nosana.store.renew('templates');
        props.gone();
      }
      ask('');
    } catch (error) {
      setProblem(problemOf(error));
    }
    setBusy(false);
  };

  return (
    <div className="nj-Share">
      {problem && <Trouble problem={problem} />}
      {shared && <Address shared={shared} />}
      {asked === '' ? (
        <div className="nj-Buttons">
          {own && (
            <button type="button" className="nj-Button" onClick={() => ask('share')}>
              Share…
            </button>
          )}
          {removable && (
            <button type="button" className="nj-Button" onClick={() => ask('remove')}>
              Remove…
            </button>
          )}
        </div>
      ) : (
        <Sure asked={asked} busy={busy} act={() => void act()} leave={() => ask('')} />
      )}
    </div>
  );
}

function Sure(props: {
  asked: Asked;
  busy: boolean;
  act: () => void;
  leave: () => void;
}): JSX.Element {
  const share = props.asked === 'share';
  return (
    <div className="nj-Sure" role="group" aria-label={share ? 'Share' : 'Remove'}>
      <p>
        {share
          ? 'Your wallet signs it, and it is put on IPFS: whoever has its address can read it, and it cannot be taken back.'
          : 'The template is deleted from your folder.'}
      </p>
      <div className="nj-Buttons">
        <button
          type="button"
          className="nj-Button"
          data-kind={share ? 'main' : 'danger'}
          disabled={props.busy}
          onClick={props.act}
        >
          {share ? 'Sign and share' : 'Remove'}
        </button>
        <button type="button" className="nj-Button" onClick={props.leave}>
          Cancel
        </button>
      </div>
    </div>
  );
}

/** The address of what was shared, to copy. */
function Address({ shared }: { shared: Shared }): JSX.Element {
  const [copied, setCopied] = useState(false);
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(shared.address);
    setCopied(true);
  };
  return (
    <div className="nj-Address">
      <p role="status">Shared. Others import it by this address:</p>
      <div>
        <code>{shared.address}</code>
        <button
          type="button"
          className="nj-Button"
          data-kind="icon"
          title="Copy the address"
          aria-label="Copy the address"
          onClick={() => void copy()}
        >
          <copyIcon.react tag="span" />
        </button>
      </div>
      {copied && (
        <p className="nj-Note" role="status">
          Copied.
        </p>
      )}
    </div>
  );
}
