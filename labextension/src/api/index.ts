export { useAnswer } from './answer';
export type { Answer } from './answer';
export { Client, Failed, MISSING, problemOf } from './client';
export { keyOf, Store, useStore } from './store';
export type { Known } from './store';
export type * from './types';
