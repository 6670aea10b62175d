/** Draws cards among the outputs of a cell, above any text or HTML that says the same. */

import * as React from 'react';

import { IRenderMime } from '@jupyterlab/rendermime-interfaces';
import { ReactWidget } from '@jupyterlab/ui-components';

import { OPEN } from '../commands/panel';
import { INosana } from '../nosana';
import { PANEL } from '../panel';
import { MIME } from './model';
import { CardState } from './state';
import { Card } from './view';

/**
 * Before text/html, which has 50: where nothing knows our type, the HTML beside it is drawn.
 */
export const RANK = 40;

class CardWidget extends ReactWidget implements IRenderMime.IRenderer {
  constructor(private readonly _nosana: INosana) {
    super();
    this._state = new CardState(_nosana.store);
    this.addClass('nj-CardOutput');
  }

  dispose(): void {
    this._state.dispose();
    super.dispose();
  }

  /** Called again, on the same widget, whenever the kernel draws the display anew. */
  renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    this._state.take(model.data[MIME]);
    // The first time it is drawn at once, so that the outputs below do not jump.
    return this.renderPromise ?? Promise.resolve();
  }

  protected render(): JSX.Element {
    return <Card state={this._state} show={job => this._show(job)} />;
  }

  private _show(job: string): void {
    void showInPanel(this._nosana, job);
  }

  private readonly _state: CardState;
}

/** Go to a job in the panel, whether it is under way or over. */
async function showInPanel({ app }: INosana, job: string): Promise<void> {
  await app.commands.execute(OPEN, { section: 'jobs' });
  const node = document.querySelector<HTMLElement>(`#${PANEL} [data-job="${CSS.escape(job)}"]`);
  node?.scrollIntoView({ block: 'nearest' });
  node?.querySelector('button')?.focus({ preventScroll: true });
}

/** Return what makes a renderer for each card. */
export function cardFactory(nosana: INosana): IRenderMime.IRendererFactory {
  return {
    // It draws text alone, whoever made the notebook.
    safe: true,
    mimeTypes: [MIME],
    createRenderer: () => new CardWidget(nosana)
  };
}
