/** A template's parameters, as fields. */

import * as React from 'react';
import { useId } from 'react';

import { Parameter } from '../api';
import { bounds, Entered } from './values';

export function Fields(props: {
  parameters: readonly Parameter[];
  entered: Entered;
  problems: Readonly<Record<string, string>>;
  enter: (name: string, value: string | boolean) => void;
}): JSX.Element {
  return (
    <>
      {props.parameters.map(each => (
        <Field
          key={each.name}
          parameter={each}
          entered={props.entered[each.name] ?? ''}
          problem={props.problems[each.name] ?? ''}
          enter={value => props.enter(each.name, value)}
        />
      ))}
    </>
  );
}

interface FieldProps {
  parameter: Parameter;
  entered: string | boolean;
  problem: string;
  enter: (value: string | boolean) => void;
}

function Field(props: FieldProps): JSX.Element {
  const { parameter, problem } = props;
  const id = useId();
  const note = [parameter.help, problem ? '' : bounds(parameter)].filter(Boolean).join('. ');
  return (
    <div className="nj-Field" data-type={parameter.type}>
      <label htmlFor={id}>{parameter.name}</label>
      <Control {...props} id={id} note={`${id}-note`} />
      <div id={`${id}-note`} className="nj-Field-note">
        {problem && <span className="nj-Field-problem">{problem} </span>}
        {note}
      </div>
    </div>
  );
}

function Control(props: FieldProps & { id: string; note: string }): JSX.Element {
  const { parameter, entered, enter, id, note, problem } = props;
  const common = {
    id,
    'aria-describedby': note,
    'aria-invalid': problem !== '',
    name: parameter.name
  };
  if (parameter.type === 'bool') {
    return (
      <input
        {...common}
        type="checkbox"
        checked={entered === true}
        onChange={event => enter(event.target.checked)}
      />
    );
  }
  if (parameter.choices.length > 0) {
    return (
      <select
        {...common}
        className="nj-Input"
        value={String(entered)}
        onChange={event => enter(event.target.value)}
      >
        {parameter.choices.map(each => (
          <option key={String(each)} value={String(each)}>
            {String(each)}
          </option>
        ))}
      </select>
    );
  }
  return (
    <input
      {...common}
      className="nj-Input"
      type="text"
      inputMode={parameter.type === 'text' ? 'text' : 'decimal'}
      autoComplete="off"
      spellCheck={false}
      value={String(entered)}
      onChange={event => enter(event.target.value)}
    />
  );
}

/** A field with a label above it and a note below, for what is no parameter. */
export function TextField(props: {
  label: string;
  value: string;
  note?: string;
  problem?: string;
  placeholder?: string;
  enter: (value: string) => void;
}): JSX.Element {
  const id = useId();
  return (
    <div className="nj-Field">
      <label htmlFor={id}>{props.label}</label>
      <input
        id={id}
        className="nj-Input"
        type="text"
        autoComplete="off"
        spellCheck={false}
        placeholder={props.placeholder}
        aria-describedby={`${id}-note`}
        aria-invalid={Boolean(props.problem)}
        value={props.value}
        onChange={event => props.enter(event.target.value)}
      />
      <div id={`${id}-note`} className="nj-Field-note">
        {props.problem && <span className="nj-Field-problem">{props.problem} </span>}
        {props.note}
      </div>
    </div>
  );
}
