export { Empty, Trouble, Waiting } from './notes';
export { PANEL, Panel } from './panel';
export { useShown } from './section';
