/** The job card: one line that opens. */

import * as React from 'react';
import { useEffect, useId, useRef, useSyncExternalStore } from 'react';

import { caretDownIcon, caretRightIcon } from '@jupyterlab/ui-components';

import { useNow } from '../look/ticks';
import { clock, short } from '../look/words';
import { Details } from './details';
import { costSoFar, elapsed, Facts, factsOf, isPaid, stateWords, Trust } from './facts';
import { money } from './money';
import { Sign } from './sign';
import { watchSight } from './sight';
import { CardState, endsJob, View } from './state';

export function Card(props: { state: CardState; show: (job: string) => void }): JSX.Element {
  const { state } = props;
  const view = useSyncExternalStore(
    told => {
      const slot = (): void => told();
      state.changed.connect(slot);
      return () => void state.changed.disconnect(slot);
    },
    () => state.view
  );
  const node = useRef<HTMLDivElement>(null);
  useEffect(
    () => (node.current ? watchSight(node.current, seen => state.see(seen)) : undefined),
    [state]
  );
  return (
    <div ref={node} className="nj-Card" role="group" aria-label="Nosana job">
      {view.card === null ? (
        <p className="nj-Card-other">
          {view.line || 'This card was made by another version of nosana_jupyter.'}
        </p>
      ) : (
        <Drawn {...props} view={view} facts={factsOf(view.card, view.job)} />
      )}
    </div>
  );
}

interface DrawnProps {
  state: CardState;
  view: View;
  facts: Facts;
  show: (job: string) => void;
}

function Drawn(props: DrawnProps): JSX.Element {
  const { state, view, facts } = props;
  const body = useId();
  const under = facts.state !== 'ended' && view.trust !== 'unknown';
  const now = useNow(under && view.seen);
  const words = view.trust === 'unknown' ? 'Not followed' : stateWords(facts);
  const what = whatOf(facts, view.trust);
  const Caret = view.open ? caretDownIcon : caretRightIcon;
  return (
    <>
      <div className="nj-Card-line">
        <button
          type="button"
          className="nj-Card-head"
          aria-expanded={view.open}
          aria-controls={body}
          title={facts.title}
          onClick={() => state.toggle()}
        >
          <Caret.react tag="span" className="nj-Card-caret" />
          <Sign state={facts.state} end={facts.end} trust={view.trust} />
          <span className="nj-Card-state">{words}</span>
          <span className="nj-Card-what">{what}</span>
          <Figures facts={facts} trust={view.trust} now={now} />
        </button>
        {under && <Stop state={state} view={view} facts={facts} />}
      </div>
      {under && facts.share !== null && <Share share={facts.share} text={facts.doing} />}
      <span className="nj-Hidden" role="status">
        {under || view.trust === 'unknown' ? `Nosana: ${words}` : ''}
      </span>
      <div id={body} className="nj-Card-body" hidden={!view.open}>
        {view.open && <Details {...props} now={now} under={under} />}
      </div>
    </>
  );
}

/** Return what stands behind the state: what is waited for, or where it runs. */
function whatOf(facts: Facts, trust: Trust): string {
  if (trust === 'unknown') {
    return 'this server knows nothing of the job now';
  }
  if (facts.state !== 'ended' && facts.doing && facts.state !== 'running') {
    return facts.doing;
  }
  const host = facts.host || (facts.node && `host ${short(facts.node)}`);
  const parts = host.includes(facts.gpu) ? [host] : [facts.gpu, host];
  const place = parts.filter(Boolean).join(' · ') || facts.market;
  return facts.state === 'running' && facts.doing ? `${facts.doing} · ${place}` : place;
}

/** How long it has taken, and what it has cost. */
function Figures(props: { facts: Facts; trust: Trust; now: number }): JSX.Element {
  const { facts, now } = props;
  const passed = props.trust === 'unknown' ? null : elapsed(facts, now);
  const cost = props.trust === 'unknown' ? null : costSoFar(facts, now);
  return (
    <span className="nj-Card-figures">
      {passed !== null && <span className="nj-Card-time">{clock(passed)}</span>}
      {cost !== null && (
        <span className="nj-Card-cost">
          {money(cost, facts.credits)}
          {isPaid(facts) && facts.most > 0 && (
            <span className="nj-Card-cap"> of {money(facts.most, facts.credits)}</span>
          )}
        </span>
      )}
    </span>
  );
}

function Stop(props: { state: CardState; view: View; facts: Facts }): JSX.Element | null {
  const { state, view } = props;
  if (view.job !== null && !props.facts.stoppable) {
    return null;
  }
  const busy = view.busy === 'stop';
  const ends = endsJob(view);
  const [label, hint] = ends
    ? ['End job', 'End the job on its host, and pay for what it used']
    : ['Stop', 'Interrupt the cell; press again to end its job'];
  return (
    <button
      type="button"
      className="nj-Button nj-Card-stop"
      data-kind={ends ? 'danger' : ''}
      title={hint}
      aria-disabled={busy}
      onClick={() => void state.stop()}
    >
      {busy ? (ends ? 'Ending…' : 'Stopping…') : label}
    </button>
  );
}

function Share(props: { share: number; text: string }): JSX.Element {
  const percent = Math.round(100 * Math.min(1, Math.max(0, props.share)));
  return (
    <div
      className="nj-Card-share"
      role="progressbar"
      aria-label={props.text || 'Progress'}
      aria-valuenow={percent}
      aria-valuemin={0}
      aria-valuemax={100}
    >
      <span style={{ width: `${percent}%` }} />
    </div>
  );
}
