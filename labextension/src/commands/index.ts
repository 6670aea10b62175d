/** Commands of the palette and of the menu. */

import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { IMainMenu } from '@jupyterlab/mainmenu';
import { Menu } from '@lumino/widgets';

import { INosana } from '../nosana';
import { addDeeds, ATTACH, FUND, REMOTE, STOP, SWEEP } from './jobs';
import { addPanel, OPEN, SECTIONS } from './panel';

const CATEGORY = 'Nosana';

/** Where the menu stands: between those of the kernel and of the tabs. */
const RANK = 450;

export const commands: JupyterFrontEndPlugin<void> = {
  id: 'nosana-jupyter:commands',
  description: 'Commands of Nosana.',
  autoStart: true,
  requires: [INosana],
  optional: [ICommandPalette, IMainMenu],
  activate: (
    app: JupyterFrontEnd,
    nosana: INosana,
    palette: ICommandPalette | null,
    mainMenu: IMainMenu | null
  ) => {
    addPanel(nosana);
    addDeeds(nosana);
    const sections = SECTIONS.map(section => ({ command: OPEN, args: { section } }));
    const deeds = [REMOTE, STOP, ATTACH, FUND, SWEEP].map(command => ({ command }));
    for (const item of [{ command: OPEN, args: { isPalette: true } }, ...sections, ...deeds]) {
      palette?.addItem({ ...item, category: CATEGORY });
    }
    if (mainMenu) {
      const menu = new Menu({ commands: app.commands });
      menu.id = 'nosana-jupyter-menu';
      menu.title.label = 'Nosana';
      menu.addItem({ command: OPEN });
      menu.addItem({ type: 'separator' });
      sections.forEach(item => menu.addItem(item));
      menu.addItem({ type: 'separator' });
      menu.addItem({ command: REMOTE });
      menu.addItem({ command: STOP });
      menu.addItem({ command: ATTACH });
      menu.addItem({ type: 'separator' });
      menu.addItem({ command: FUND });
      menu.addItem({ command: SWEEP });
      mainMenu.addMenu(menu, false, { rank: RANK });
    }
  }
};
