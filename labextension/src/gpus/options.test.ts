/// <reference types="node" />
/** Options get onto a magic line, and what was typed there stays. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { applied, edited, merged, NoEdit, optionOf } from './options.js';

const PICK = { '--vram': '16', '--market': 'nvidia-4090', '--gpu': null };

const LINES: readonly (readonly [string, string])[] = [
  ['', ' --vram 16 --market nvidia-4090'],
  [' --timeout 30m', ' --timeout 30m --vram 16 --market nvidia-4090'],
  [' --vram 8 --timeout 30m', ' --vram 16 --timeout 30m --market nvidia-4090'],
  [' --vram=8GB', ' --vram 16 --market nvidia-4090'],
  [' --vram 8 GB --yes', ' --vram 16 --yes --market nvidia-4090'],
  [' --vram 8 --vram 9', ' --vram 16 --market nvidia-4090'],
  [" --gpu 'RTX A4000' --pip a", ' --pip a --vram 16 --market nvidia-4090'],
  [' --gpu RTX A4000 --cold', ' --cold --vram 16 --market nvidia-4090'],
  [' --files data/*.csv models  --get out', ' --files data/*.csv models --get out --vram 16 --market nvidia-4090'],
  [" --env A='--vram 3'", " --env A='--vram 3' --vram 16 --market nvidia-4090"],
  [' --env A=x#y', ' --env A=x#y --vram 16 --market nvidia-4090'],
  [' --cold # --vram 8', ' --cold --vram 16 --market nvidia-4090 # --vram 8'],
  [' --max-cost -1', ' --max-cost -1 --vram 16 --market nvidia-4090'],
  [' --env A=\\ --vram', ' --env A=\\ --vram --vram 16 --market nvidia-4090']
];

for (const [line, expected] of LINES) {
  void test(`options on ${JSON.stringify(line)}`, () => {
    assert.equal(merged(line, PICK), expected);
    // Once there, they are written over themselves.
    assert.equal(merged(expected, PICK), expected);
  });
}

void test('a value with a space is quoted', () => {
  assert.equal(merged('', { '--gpu': "RTX A4000's" }), ` --gpu 'RTX A4000'"'"'s'`);
});

void test('a cell without a magic line gets one, and its text stays', () => {
  const source = 'import torch\nx = 1';
  assert.equal(applied(source, edited(source, { '--vram': '16' })), `%%nosana --vram 16\n${source}`);
});

void test('only the magic line of a cell is changed', () => {
  const source = '\n  %%nosana --vram 8\n%%nosana --vram 8\n';
  const edit = edited(source, { '--vram': '24' });
  assert.equal(applied(source, edit), '\n  %%nosana --vram 24\n%%nosana --vram 8\n');
  assert.equal(source.slice(edit.start, edit.end), ' --vram 8');
});

void test('a cell of another magic, or with an open quote, is left alone', () => {
  assert.throws(() => edited('%%time\nx', PICK), NoEdit);
  assert.throws(() => edited("%%nosana --gpu 'RTX\nx", PICK), NoEdit);
});

void test('the value of an option is read as the kernel reads it', () => {
  const market = '%%nosana --vram 8 --market nvidia-4090 # --market x\n--market y';
  assert.equal(optionOf(market, '--market'), 'nvidia-4090');
  assert.equal(optionOf("%%nosana --gpu='RTX A4000'", '--gpu'), 'RTX A4000');
  assert.equal(optionOf('%%nosana --gpu RTX A4000', '--gpu'), 'RTX A4000');
  assert.equal(optionOf("%%nosana --gpu 'RTX", '--gpu'), '');
  assert.equal(optionOf('%%time --gpu RTX', '--gpu'), '');
});
