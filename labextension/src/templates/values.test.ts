/// <reference types="node" />
/** What is entered in a form is a value of its parameter, or it is said what is wrong. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Parameter } from '../api/types.js';
import { check, checkAll, defaults, nameFor } from './values.js';

function parameter(part: Partial<Parameter>): Parameter {
  return { name: 'x', type: 'int', default: 4, help: '', choices: [], min: null, max: null, ...part };
}

const HOSTS = parameter({ min: 1, max: 64 });

void test('whole numbers are read, and held to their bounds', () => {
  assert.deepEqual(check(HOSTS, ' 64 '), { value: 64 });
  for (const wrong of ['0', '65', '-1']) {
    assert.deepEqual(check(HOSTS, wrong), { problem: 'From 1 to 64.' });
  }
  for (const wrong of ['', '1.5', '0x10', '1e1', 'four', '9'.repeat(20)]) {
    assert.deepEqual(check(HOSTS, wrong), { problem: 'A whole number, as in 4.' });
  }
});

void test('numbers are read, and nothing that is none', () => {
  const rate = parameter({ type: 'float', default: 0.1, min: 0 });
  assert.deepEqual(check(rate, '1e-4'), { value: 0.0001 });
  assert.deepEqual(check(rate, '-1'), { problem: 'At least 0.' });
  for (const wrong of ['', 'NaN', 'Infinity', 'a']) {
    assert.deepEqual(check(rate, wrong), { problem: 'A number, as in 0.1.' });
  }
});

void test('a choice keeps its type', () => {
  const size = parameter({ choices: [8, 16], default: 8 });
  assert.deepEqual(check(size, '16'), { value: 16 });
  assert.deepEqual(check(size, '9'), { problem: 'One of 8, 16.' });
});

void test('the defaults of a form are valid', () => {
  const all = [
    HOSTS,
    parameter({ name: 'fast', type: 'bool', default: false }),
    parameter({ name: 'cap', type: 'text', default: '$1' })
  ];
  assert.deepEqual(checkAll(all, defaults(all)), {
    values: { x: 4, fast: false, cap: '$1' },
    problems: {}
  });
});

void test('a title becomes a name that a template can have', () => {
  assert.equal(nameFor('Train a Classifier!'), 'train-a-classifier');
  assert.equal(nameFor('  Größe & mehr  '), 'gro-e-mehr');
  assert.equal(nameFor('__x'), 'x');
  assert.equal(nameFor('日本'), '');
});
