/** One template: what it is, whose, its code, and its parameters as a form that inserts it. */

import * as React from 'react';
import { useCallback, useState } from 'react';

import { Fill, Filled, Problem, problemOf, Template, useAnswer } from '../api';
import { worded } from '../look/worded';
import { short } from '../look/words';
import { INosana } from '../nosana';
import { folderOf } from '../notebooks';
import { Trouble, useShown, Waiting } from '../panel';
import { Code } from './code';
import { Fields } from './form';
import { insertCells, openFile } from './insert';
import { KINDS, vramWords } from './list';
import { Share } from './share';
import { checkAll, defaults, Entered } from './values';

export function Use(props: { nosana: INosana; name: string; gone: () => void }): JSX.Element {
  const { nosana, name } = props;
  const shown = useShown();
  const answer = useAnswer(
    useCallback(
      () => nosana.client.get<Template>(routeOf(name), { folder: folderOf(nosana) }),
      [nosana, name]
    ),
    { stale: 0, shown }
  );
  if (answer.value === null) {
    return answer.problem ? (
      <Trouble problem={answer.problem}>
        <button type="button" className="nj-Button" onClick={answer.again}>
          Try again
        </button>
      </Trouble>
    ) : (
      <Waiting lines={6} />
    );
  }
  const template = answer.value;
  return (
    <article className="nj-Use" aria-label={template.title}>
      <h3>{template.title}</h3>
      {template.description && <p>{worded(template.description)}</p>}
      {template.foreign && <Foreign template={template} />}
      <About template={template} />
      {template.foreign && <Code nosana={nosana} template={template} open />}
      <Form nosana={nosana} template={template} />
      {!template.foreign && <Code nosana={nosana} template={template} />}
      <Share nosana={nosana} template={template} gone={props.gone} />
    </article>
  );
}

export function routeOf(name: string): string {
  return `templates/${encodeURIComponent(name)}`;
}

function Foreign({ template }: { template: Template }): JSX.Element {
  if (template.signed === 'broken') {
    return (
      <Trouble
        problem={{
          message: 'This template is not as its author signed it.',
          hint: 'It was changed since. Import it again from where you had it.',
          money: '',
          kind: ''
        }}
      />
    );
  }
  const signed = template.signed
    ? `Signed by ${short(template.signed)}.`
    : 'It is not signed: anybody may have written it.';
  return (
    <div className="nj-Foreign">
      <strong>Somebody else made this.</strong> {signed} Read the code before you use it; nothing
      runs until you run it.
    </div>
  );
}

function About({ template }: { template: Template }): JSX.Element {
  const rows: (readonly [string, string])[] = [
    ['Author', template.author],
    ['Signed by', template.signed === 'broken' ? '' : template.signed],
    ['GPU memory', vramWords(template)],
    ['Is a', KINDS[template.kind]],
    ['Tested', template.tested]
  ];
  return (
    <dl className="nj-About">
      {rows
        .filter(each => each[1])
        .map(([label, text]) => (
          <div key={label}>
            <dt>{label}</dt>
            <dd>{text}</dd>
          </div>
        ))}
    </dl>
  );
}

function Form({ nosana, template }: { nosana: INosana; template: Template }): JSX.Element {
  const { parameters } = template;
  const [entered, enter] = useState<Entered>(() => defaults(parameters));
  const [tried, setTried] = useState(false);
  const [state, setState] = useState({ busy: false, said: '', problem: null as Problem | null });
  const { values, problems } = checkAll(parameters, entered);
  const wrong = Object.keys(problems);

  const fill = async (open: boolean, form: HTMLFormElement | null): Promise<void> => {
    setTried(true);
    const [first] = wrong;
    if (first !== undefined) {
      form?.querySelector<HTMLElement>(`[name="${first}"]`)?.focus();
      return;
    }
    setState({ busy: true, said: '', problem: null });
    try {
      setState({ busy: false, said: await filled(nosana, template, { values, open }), problem: null });
    } catch (error) {
      setState({ busy: false, said: '', problem: problemOf(error) });
    }
  };

  return (
    <form
      className="nj-Form"
      noValidate
      aria-label="Parameters"
      onSubmit={event => {
        event.preventDefault();
        void fill(template.kind !== 'cell', event.currentTarget);
      }}
    >
      <Fields
        parameters={parameters}
        entered={entered}
        problems={tried ? problems : {}}
        enter={(name, value) => enter(last => ({ ...last, [name]: value }))}
      />
      {state.problem && <Trouble problem={state.problem} />}
      <Deeds
        nosana={nosana}
        template={template}
        busy={state.busy}
        open={event => void fill(true, event.currentTarget.form)}
      />
      <p className="nj-Note" role="status">
        {state.said}
      </p>
    </form>
  );
}

function Deeds(props: {
  nosana: INosana;
  template: Template;
  busy: boolean;
  open: (event: React.MouseEvent<HTMLButtonElement>) => void;
}): JSX.Element {
  const { template, busy } = props;
  const broken = template.signed === 'broken';
  const none = (props.nosana.notebooks?.currentWidget ?? null) === null;
  const file = template.kind === 'definition' ? 'Open as file' : 'Open as notebook';
  if (template.kind !== 'cell') {
    return (
      <div className="nj-Buttons">
        <button type="submit" className="nj-Button" data-kind="main" disabled={busy || broken}>
          {file}
        </button>
      </div>
    );
  }
  return (
    <>
      <div className="nj-Buttons">
        <button
          type="submit"
          className="nj-Button"
          data-kind="main"
          disabled={busy || broken || none}
        >
          Insert
        </button>
        <button
          type="button"
          className="nj-Button"
          disabled={busy || broken}
          onClick={props.open}
        >
          {file}
        </button>
      </div>
      {none && <p className="nj-Note">To insert it, open a notebook first.</p>}
    </>
  );
}

/** Fill a template and put it where it is wanted; return what to say of it. */
async function filled(
  nosana: INosana,
  { name }: Template,
  wanted: Pick<Fill, 'values' | 'open'>
): Promise<string> {
  const body: Fill = { ...wanted, folder: folderOf(nosana) };
  const { cells, path } = await nosana.client.post<Filled>(`${routeOf(name)}/fill`, body);
  if (wanted.open) {
    openFile(nosana, path);
    return `Opened as ${path}. Nothing runs until you run it.`;
  }
  await insertCells(nosana, cells);
  return 'Inserted below the selected cell. Nothing runs until you run it.';
}
