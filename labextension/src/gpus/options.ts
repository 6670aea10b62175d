/**
 * The options on a cell's magic line, and how others get among them.
 *
 * A line is read as the kernel reads it: words as a shell has them, a value up to the next option,
 * a comment from a word that begins with `#`. What is not replaced stays as it was typed.
 */

/** Options to write: a value, or null for an option that is taken off the line. */
export type Options = Readonly<Record<string, string | null>>;

/** A change of a cell's source: `text` takes the place of what stands from `start` to `end`. */
export interface IEdit {
  start: number;
  end: number;
  text: string;
}

interface IWord {
  text: string;
  start: number;
  end: number;
}

/** Why there is no edit, in words for the user. */
export class NoEdit extends Error {}

const HEAD = /^(?:[^\S\n]*\n)*[^\S\n]*%%(\S+)/;
const OPTION = /^--?[^\W\d]/;
const MAGIC = '%%nosana';

/**
 * Return the change that puts options on the magic line of a cell.
 *
 * @throws NoEdit the cell begins with another magic, or its line has a quote that is not closed
 */
export function edited(source: string, options: Options): IEdit {
  const head = HEAD.exec(source);
  if (head === null) {
    return { start: 0, end: 0, text: `${MAGIC}${written(options)}\n` };
  }
  if (head[1] !== 'nosana') {
    throw new NoEdit(`This cell begins with %%${head[1]}. Take that out, or choose another cell.`);
  }
  const start = head[0].length;
  const newline = source.indexOf('\n', start);
  const end = newline === -1 ? source.length : newline;
  return { start, end, text: merged(source.slice(start, end), options) };
}

/** Return the source of a cell after a change. */
export function applied(source: string, edit: IEdit): string {
  return source.slice(0, edit.start) + edit.text + source.slice(edit.end);
}

/**
 * Return the rest of a magic line with options put on it.
 *
 * @throws NoEdit a quote is not closed
 */
export function merged(rest: string, options: Options): string {
  const kept: string[] = [];
  const left = new Map(Object.entries(options));
  for (const { name, text } of groups(rest)) {
    if (name.startsWith('#')) {
      // What is new stands before the comment, or it would be part of it.
      kept.push(...spelled(left), text);
      left.clear();
    } else if (name in options) {
      kept.push(...spelled(new Map([[name, left.get(name) ?? null]])));
      left.delete(name);
    } else {
      kept.push(text);
    }
  }
  kept.push(...spelled(left));
  return kept.length > 0 ? ` ${kept.join(' ')}` : '';
}

/** Return the value of an option on the magic line of a cell; nothing where it is not there. */
export function optionOf(source: string, name: string): string {
  const head = HEAD.exec(source);
  if (head?.[1] !== 'nosana') {
    return '';
  }
  try {
    const [rest = ''] = source.slice(head[0].length).split('\n');
    return groups(rest).find(each => each.name === name)?.value ?? '';
  } catch {
    return ''; // A quote is not closed yet.
  }
}

/** Return each option with its values as it was typed, and at last the comment. */
function groups(rest: string): { name: string; value: string; text: string }[] {
  const made: { name: string; value: string; start: number; end: number }[] = [];
  for (const word of words(rest)) {
    const last = made[made.length - 1];
    if (last?.name.startsWith('#')) {
      break;
    }
    if (last === undefined || OPTION.test(word.text) || word.text.startsWith('#')) {
      const [name = '', ...value] = word.text.split('=');
      made.push({ ...word, name, value: value.join('=') });
    } else {
      last.value = last.value ? `${last.value} ${word.text}` : word.text;
      last.end = word.end;
    }
  }
  return made.map(({ name, value, start, end }) => ({
    name,
    value,
    text: (name.startsWith('#') ? rest.slice(start) : rest.slice(start, end)).trim()
  }));
}

function written(options: Options): string {
  return spelled(new Map(Object.entries(options)))
    .map(each => ` ${each}`)
    .join('');
}

function spelled(options: ReadonlyMap<string, string | null>): string[] {
  return [...options].flatMap(([name, value]) =>
    value === null ? [] : [`${name} ${quoted(value)}`]
  );
}

function quoted(value: string): string {
  if (/^[\w@%+:,./$-]+$/.test(value)) {
    return value;
  }
  return `'${value.split("'").join(`'"'"'`)}'`;
}

/** Return the words of a line, and where each stands. A comment is a word, and ends the line. */
function words(line: string): IWord[] {
  const found: IWord[] = [];
  let at = 0;
  while (at < line.length) {
    if (/\s/.test(line.charAt(at))) {
      at += 1;
      continue;
    }
    const start = at;
    if (line.charAt(at) === '#') {
      found.push({ text: line.slice(at), start, end: line.length });
      break;
    }
    let text = '';
    while (at < line.length && !/\s/.test(line.charAt(at))) {
      const mark = line.charAt(at);
      if (mark === "'" || mark === '"') {
        const close = closing(line, at);
        text += line.slice(at + 1, close);
        at = close + 1;
      } else if (mark === '\\') {
        text += line.charAt(at + 1);
        at += 2;
      } else {
        text += mark;
        at += 1;
      }
    }
    found.push({ text, start, end: Math.min(at, line.length) });
  }
  return found;
}

function closing(line: string, open: number): number {
  for (let at = open + 1; at < line.length; at++) {
    if (line[open] === '"' && line[at] === '\\') {
      at += 1;
    } else if (line[at] === line[open]) {
      return at;
    }
  }
  throw new NoEdit(`The magic line has a quote that is not closed: ${line.slice(open).trim()}`);
}
