/** All templates: searched, filtered by tag, each a button that opens it. */

import * as React from 'react';
import { useState } from 'react';

import { Template, Templates } from '../api';
import { worded } from '../look/worded';
import { Empty } from '../panel';

/** Most tags that are offered as filters: those that most templates have. */
const MOST_TAGS = 8;

export function List(props: {
  found: Templates;
  open: (name: string) => void;
  save: () => void;
  bring: () => void;
}): JSX.Element {
  const { templates, problems } = props.found;
  const [words, search] = useState('');
  const [tag, choose] = useState('');
  const shown = templates.filter(each => isLike(each, words) && (!tag || each.tags.includes(tag)));
  return (
    <>
      <input
        className="nj-Input"
        type="search"
        aria-label="Search templates"
        placeholder="Search templates"
        value={words}
        onChange={event => search(event.target.value)}
      />
      <Tags tags={tagsOf(templates)} tag={tag} choose={choose} />
      <ul className="nj-Templates" aria-label="Templates">
        {shown.map(each => (
          <li key={`${each.shelf}/${each.name}`}>
            <Item template={each} open={() => props.open(each.name)} />
          </li>
        ))}
      </ul>
      {shown.length === 0 && (
        <Empty>
          {templates.length === 0
            ? 'There are no templates yet. Save a cell as one, or import one.'
            : 'No template is like that. Try fewer words, or import one.'}
        </Empty>
      )}
      {problems.map((each, at) => (
        <p key={at} className="nj-Note">
          Cannot be read: {each}
        </p>
      ))}
      <div className="nj-Buttons">
        <button type="button" className="nj-Button" onClick={props.save}>
          Save this cell…
        </button>
        <button type="button" className="nj-Button" onClick={props.bring}>
          Import…
        </button>
      </div>
    </>
  );
}

function Tags(props: {
  tags: readonly string[];
  tag: string;
  choose: (tag: string) => void;
}): JSX.Element | null {
  if (props.tags.length === 0) {
    return null;
  }
  return (
    <div className="nj-Tags" role="group" aria-label="Tags">
      {props.tags.map(each => (
        <button
          key={each}
          type="button"
          className="nj-Tag"
          aria-pressed={each === props.tag}
          onClick={() => props.choose(each === props.tag ? '' : each)}
        >
          {each}
        </button>
      ))}
    </div>
  );
}

function Item({ template, open }: { template: Template; open: () => void }): JSX.Element {
  return (
    <button type="button" className="nj-Template" data-template={template.name} onClick={open}>
      <span className="nj-Template-title">{template.title}</span>
      <span className="nj-Template-text">{worded(template.description)}</span>
      <span className="nj-Template-about">
        {[vramWords(template), KINDS[template.kind], whose(template)].filter(Boolean).join(' · ')}
      </span>
    </button>
  );
}

export const KINDS: Readonly<Record<Template['kind'], string>> = {
  cell: '',
  notebook: 'notebook',
  definition: 'job definition'
};

export function vramWords({ vram }: Template): string {
  return vram > 0 ? `${vram} GiB` : 'any card';
}

/** Say where a template is from. */
export function whose(template: Template): string {
  if (template.foreign) {
    return 'imported';
  }
  const words: Readonly<Record<string, string>> = { user: 'yours', project: 'this project' };
  return words[template.shelf] ?? '';
}

function isLike(template: Template, words: string): boolean {
  const { name, title, description, tags, author } = template;
  const text = [name, title, description, author, ...tags].join(' ').toLowerCase();
  return words
    .toLowerCase()
    .split(/\s+/)
    .every(word => text.includes(word));
}

function tagsOf(templates: readonly Template[]): string[] {
  const counts = new Map<string, number>();
  for (const tag of templates.flatMap(each => each.tags)) {
    counts.set(tag, (counts.get(tag) ?? 0) + 1);
  }
  return [...counts]
    .sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]))
    .slice(0, MOST_TAGS)
    .map(([tag]) => tag);
}
