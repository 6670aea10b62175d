/** Commands that show the panel, or a part of it. */

import { nosanaIcon } from '../look/icons';
import { INosana } from '../nosana';
import { PANEL } from '../panel';

export const OPEN = 'nosana-jupyter:open';

/** Names of the sections, as the argument `section` of the command names them. */
export const SECTIONS = ['wallet', 'jobs', 'gpus', 'templates'] as const;

const TITLES: Readonly<Record<(typeof SECTIONS)[number], string>> = {
  wallet: 'Show Wallet',
  gpus: 'Find a GPU',
  jobs: 'Show Jobs',
  templates: 'Browse Templates'
};

export function addPanel({ app }: INosana): void {
  app.commands.addCommand(OPEN, {
    label: args => TITLES[args['section'] as keyof typeof TITLES] ?? 'Show Nosana Panel',
    caption: 'Wallet, GPUs, jobs and templates of Nosana',
    icon: args => (args['isPalette'] || args['section'] ? undefined : nosanaIcon),
    execute: async args => {
      // A palette or menu that it was chosen from gives the focus back first.
      await turn();
      app.shell.activateById(PANEL);
      await turn();
      if (typeof args['section'] === 'string') {
        show(args['section']);
      }
    },
    describedBy: {
      args: {
        type: 'object',
        properties: {
          section: { type: 'string', enum: [...SECTIONS], description: 'Section to go to' }
        }
      }
    }
  });
}

/** Wait until all is done that was begun, as to move the focus. */
function turn(): Promise<void> {
  return new Promise(done => window.setTimeout(done));
}

/** Open a section and go there. */
function show(name: string): void {
  const section = document.querySelector(`#${PANEL} [data-name="${CSS.escape(name)}"]`);
  const head = section?.querySelector<HTMLButtonElement>('h2 button');
  if (head) {
    if (head.getAttribute('aria-expanded') === 'false') {
      head.click();
    }
    section?.scrollIntoView({ block: 'start' });
    head.focus({ preventScroll: true });
  }
}
