/** What sections, cards and commands are given: the server, what is known, and the notebooks. */

import { JupyterFrontEnd } from '@jupyterlab/application';
import { IEditorLanguageRegistry } from '@jupyterlab/codemirror';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { Token } from '@lumino/coreutils';

import { Client, Store } from './api';

export interface INosana {
  readonly client: Client;
  readonly store: Store;
  readonly app: JupyterFrontEnd;
  readonly notebooks: INotebookTracker | null;
  readonly settings: ISettingRegistry.ISettings | null;
  readonly languages: IEditorLanguageRegistry | null;
}

export const INosana = new Token<INosana>(
  'nosana-jupyter:INosana',
  'The Nosana jobs of this Jupyter server, as its sidebar knows them.'
);
