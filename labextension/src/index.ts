/** What JupyterLab loads: the sidebar, the job card, commands and the status bar. */

import { JupyterFrontEndPlugin } from '@jupyterlab/application';

import { card } from './card';
import { commands } from './commands';
import { sidebar } from './sidebar';
import { status } from './status';
import { written } from './written';

const plugins: JupyterFrontEndPlugin<unknown>[] = [
  sidebar,
  commands,
  status,
  card,
  written
];

export default plugins;
