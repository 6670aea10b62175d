/** A template from elsewhere: it is put with the user's own, and shown before it is used. */

import * as React from 'react';
import { useState } from 'react';

import { Import, Problem, problemOf, Templates } from '../api';
import { INosana } from '../nosana';
import { Trouble } from '../panel';
import { TextField } from './form';

interface Left {
  readonly taken: readonly string[];
  readonly problems: readonly string[];
}

export function Bring(props: { nosana: INosana; brought: (name: string) => void }): JSX.Element {
  const { nosana } = props;
  const [source, setSource] = useState('');
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [left, setLeft] = useState<Left | null>(null);

  const bring = async (): Promise<void> => {
    setBusy(true);
    setProblem(null);
    setLeft(null);
    const body: Import = { source: source.trim(), name: '' };
    try {
      const { templates, problems } = await nosana.client.post<Templates>(
        'templates/import',
        body
      );
      nosana.store.renew('templates');
      if (problems.length === 0) {
        props.brought(templates.length === 1 ? (templates[0]?.name ?? '') : '');
        return;
      }
      setLeft({ taken: templates.map(each => each.title), problems });
      setBusy(false);
    } catch (error) {
      setProblem(problemOf(error));
      setBusy(false);
    }
  };

  return (
    <form
      className="nj-Form"
      noValidate
      aria-label="Import a template"
      onSubmit={event => {
        event.preventDefault();
        void bring();
      }}
    >
      <TextField
        label="Address"
        value={source}
        enter={setSource}
        placeholder="ipfs://…"
        note="ipfs://CID, an https address, git+https://…, or a file or folder below the server’s."
      />
      <p className="nj-Note">You see its author and its code before you use it.</p>
      {problem && <Trouble problem={problem} />}
      {left && <Partly left={left} />}
      <div className="nj-Buttons">
        <button
          type="submit"
          className="nj-Button"
          data-kind="main"
          disabled={busy || source.trim() === ''}
        >
          {busy ? 'Importing…' : 'Import'}
        </button>
      </div>
    </form>
  );
}

/** Of several templates some were not taken: which, and why. */
function Partly({ left }: { left: Left }): JSX.Element {
  const { taken, problems } = left;
  return (
    <div role="status">
      <p className="nj-Note">
        {taken.length ? `Imported: ${taken.join(', ')}.` : 'Nothing was imported.'} Not taken:
      </p>
      <ul className="nj-Left">
        {problems.map((each, at) => (
          <li key={at}>{each}</li>
        ))}
      </ul>
    </div>
  );
}
