/** The selected cell becomes a template. */

import * as React from 'react';
import { useState } from 'react';

import { Problem, problemOf, Save as Body, Template } from '../api';
import { useCell } from '../gpus/cell';
import { INosana } from '../nosana';
import { folderOf } from '../notebooks';
import { Empty, Trouble, useShown } from '../panel';
import { TextField } from './form';
import { nameFor } from './values';

export function Save(props: { nosana: INosana; saved: (name: string) => void }): JSX.Element {
  const { nosana } = props;
  const cell = useCell(nosana.notebooks, useShown());
  const [title, setTitle] = useState('');
  const [given, setGiven] = useState<string | null>(null);
  const [description, setDescription] = useState('');
  const [project, setProject] = useState(false);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const name = given ?? nameFor(title);
  const code = cell.code.trim();
  if (cell.kind !== 'code' || code === '') {
    return <Empty>Select a cell with code in a notebook: it becomes the template.</Empty>;
  }

  const save = async (): Promise<void> => {
    setBusy(true);
    setProblem(null);
    const folder = folderOf(nosana);
    const body: Body = { name, title, code: cell.code, description, project, folder };
    try {
      const made = await nosana.client.post<Template>('templates', body);
      nosana.store.renew('templates');
      props.saved(made.name);
    } catch (error) {
      setProblem(problemOf(error));
      setBusy(false);
    }
  };

  return (
    <form
      className="nj-Form"
      noValidate
      aria-label="Save the selected cell as a template"
      onSubmit={event => {
        event.preventDefault();
        void save();
      }}
    >
      <pre className="nj-Excerpt" aria-label="The selected cell">
        {excerpt(code)}
      </pre>
      <TextField label="Title" value={title} enter={setTitle} />
      <TextField
        label="Name"
        value={name}
        enter={setGiven}
        note="By which it is found: small letters, digits, - and _."
      />
      <TextField label="Description" value={description} enter={setDescription} />
      <label className="nj-Check">
        <input
          type="checkbox"
          checked={project}
          onChange={event => setProject(event.target.checked)}
        />
        For all who work in this folder
      </label>
      {problem && <Trouble problem={problem} />}
      <div className="nj-Buttons">
        <button
          type="submit"
          className="nj-Button"
          data-kind="main"
          disabled={busy || name === ''}
        >
          Save
        </button>
      </div>
    </form>
  );
}

function excerpt(code: string): string {
  const lines = code.split('\n');
  return lines.length > 5 ? [...lines.slice(0, 4), '…'].join('\n') : code;
}
