// What the official validators say of definitions: the strict one, and the one before it.
import { validateJobDefinition } from '@nosana/types';

// The rest of the old package takes seconds to load.
import { validateJobDefinition as before } from './node_modules/@nosana/sdk/dist/types/job.js';
import { given, tell } from './stranger.mjs';

function verdict(validate, definition) {
  try {
    const found = validate(definition);
    return found.success ? '' : `${found.errors[0].path}: ${found.errors[0].expected}`;
  } catch (error) {
    return `${error}`; // They stumble over a null among the ports.
  }
}
tell('strict', given.definitions.map((each) => verdict(validateJobDefinition, each)));
tell('old', given.definitions.map((each) => verdict(before, each)));
