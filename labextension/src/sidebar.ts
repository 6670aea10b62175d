/** The sidebar, and what it shares with the other plugins. */

import {
  ILayoutRestorer,
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { IEditorLanguageRegistry } from '@jupyterlab/codemirror';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ISettingRegistry } from '@jupyterlab/settingregistry';

import { Client, Store } from './api';
import { INosana } from './nosana';
import { Panel } from './panel';

export const sidebar: JupyterFrontEndPlugin<INosana> = {
  id: 'nosana-jupyter:plugin',
  description: 'Wallet, GPUs, jobs and templates of Nosana in a sidebar.',
  autoStart: true,
  provides: INosana,
  optional: [INotebookTracker, ISettingRegistry, ILayoutRestorer, IEditorLanguageRegistry],
  activate: async (
    app: JupyterFrontEnd,
    notebooks: INotebookTracker | null,
    registry: ISettingRegistry | null,
    restorer: ILayoutRestorer | null,
    languages: IEditorLanguageRegistry | null
  ): Promise<INosana> => {
    const client = new Client();
    const settings = (await registry?.load(sidebar.id).catch(() => null)) ?? null;
    const store = new Store(client);
    const nosana: INosana = { client, store, app, notebooks, settings, languages };
    const panel = new Panel(nosana);
    restorer?.add(panel, panel.id);
    const side = settings?.get('side').composite === 'right' ? 'right' : 'left';
    app.shell.add(panel, side, { rank: 650, type: 'Nosana' });
    return nosana;
  }
};
