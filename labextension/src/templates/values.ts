/** The values of a template's parameters, as its form holds and checks them. */

import { Parameter, Value } from '../api';

/** What is typed or ticked in the fields of a form. */
export type Entered = Readonly<Record<string, string | boolean>>;

export type Checked = { readonly value: Value } | { readonly problem: string };

/** Return what a form holds before anything is typed. */
export function defaults(parameters: readonly Parameter[]): Entered {
  return Object.fromEntries(
    parameters.map(each => [
      each.name,
      typeof each.default === 'boolean' ? each.default : String(each.default)
    ])
  );
}

/** Return what was entered as a value of a parameter, or what is wrong with it. */
export function check(parameter: Parameter, entered: string | boolean | undefined): Checked {
  const { type, choices } = parameter;
  if (type === 'bool') {
    return { value: entered === true };
  }
  const text = String(entered ?? '');
  if (choices.length > 0) {
    const value = choices.find(each => String(each) === text);
    return value === undefined ? { problem: `One of ${choices.join(', ')}.` } : { value };
  }
  return type === 'text' ? { value: text } : number(parameter, text.trim());
}

const WHOLE = /^[+-]?\d+$/;

function number(parameter: Parameter, text: string): Checked {
  const whole = parameter.type === 'int';
  const value = Number(text);
  const fits = whole ? WHOLE.test(text) && Number.isSafeInteger(value) : Number.isFinite(value);
  if (text === '' || !fits) {
    const kind = whole ? 'A whole number' : 'A number';
    return { problem: `${kind}, as in ${String(parameter.default)}.` };
  }
  const { min, max } = parameter;
  if ((min !== null && value < min) || (max !== null && value > max)) {
    return { problem: bounds(parameter) };
  }
  return { value };
}

/** Return between what a value must be, in words: nothing where it may be any. */
export function bounds({ min, max }: Parameter): string {
  if (min !== null && max !== null) {
    return `From ${min} to ${max}.`;
  }
  return min !== null ? `At least ${min}.` : max !== null ? `At most ${max}.` : '';
}

/** Return all values, or what is wrong by name of parameter. */
export function checkAll(
  parameters: readonly Parameter[],
  entered: Entered
): { values: Record<string, Value>; problems: Record<string, string> } {
  const values: Record<string, Value> = {};
  const problems: Record<string, string> = {};
  for (const each of parameters) {
    const checked = check(each, entered[each.name]);
    if ('value' in checked) {
      values[each.name] = checked.value;
    } else {
      problems[each.name] = checked.problem;
    }
  }
  return { values, problems };
}

/** Return a title as the name of a template: `Train a classifier` becomes `train-a-classifier`. */
export function nameFor(title: string): string {
  return title
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[^a-z0-9_]+/g, '-')
    .replace(/^[-_]+|-+$/g, '')
    .slice(0, 48);
}
