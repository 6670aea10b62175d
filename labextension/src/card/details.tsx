/** What a card shows when it is open. */

import * as React from 'react';
import { useEffect, useRef, useState } from 'react';

import { clock, span } from '../look/words';
import { Trouble } from '../panel/notes';
import { Chart, series } from './chart';
import { costSoFar, Facts, isPaid } from './facts';
import { dollars, money } from './money';
import { CardState, View } from './state';

interface DetailsProps {
  state: CardState;
  view: View;
  facts: Facts;
  now: number;
  /** Whether the job goes on, as far as is known. */
  under: boolean;
  show: (job: string) => void;
}

export function Details(props: DetailsProps): JSX.Element {
  const { state, view, facts, under } = props;
  return (
    <>
      {view.trust === 'unknown' && <Unknown facts={facts} />}
      {view.problem && (
        <Trouble problem={view.problem}>
          {view.agree && (
            <button type="button" className="nj-Button" data-kind="main" onClick={view.agree}>
              Yes, pay for it
            </button>
          )}
          <button type="button" className="nj-Button" onClick={() => state.forget()}>
            {view.agree ? 'No' : 'Dismiss'}
          </button>
        </Trouble>
      )}
      {view.told && (
        <p className="nj-Card-told" role="status">
          {view.told}
        </p>
      )}
      <Charts facts={facts} />
      {isPaid(facts) && under && <Cost facts={facts} now={props.now} />}
      {facts.state === 'ended' && facts.cost && <p className="nj-Card-text">{facts.cost}</p>}
      {facts.verified && <p className="nj-Card-text">{facts.verified}</p>}
      {facts.log && under && <Log text={facts.log} lines={facts.lines} />}
      <Rows rows={facts.receipt.length > 0 ? facts.receipt : placed(facts)} />
      <div className="nj-Card-actions">
        {under && facts.extendable && <Extend state={state} view={view} />}
        {facts.job && (
          <button
            type="button"
            className="nj-Button"
            onClick={() => props.show(facts.job)}
          >
            Show in the panel
          </button>
        )}
      </div>
    </>
  );
}

function Unknown({ facts }: { facts: Facts }): JSX.Element {
  const last = new Date(facts.since * 1000).toLocaleString(undefined, {
    day: 'numeric',
    month: 'short',
    hour: '2-digit',
    minute: '2-digit'
  });
  return (
    <p className="nj-Card-text">
      When this notebook was saved, the cell was {LAST[facts.state]} ({last}). The Jupyter server
      does not follow it now: it may have been started by another user or on another machine. What
      it left in a vault comes back with <code>%nosana sweep</code> there.
    </p>
  );
}

const LAST: Readonly<Record<Facts['state'], string>> = {
  preparing: 'being made ready',
  waiting: 'waiting for a host',
  starting: 'waiting for its host to start',
  running: 'running',
  detached: 'running on its own',
  ended: 'over'
};

function Charts({ facts }: { facts: Facts }): JSX.Element | null {
  const { samples } = facts;
  const used = series(samples, each => each.used);
  const busy = series(samples, each => each.busy);
  const newest = samples[samples.length - 1];
  if (newest === undefined || used.length + busy.length === 0) {
    return null;
  }
  const total = newest.total ?? Math.max(...used.map(each => each[1]), 0);
  const [memory, load] = newest.card ? ['GPU memory', 'GPU load'] : ['Memory', 'Processor'];
  const over = facts.state === 'ended';
  const peak = facts.peak === null ? '' : `peak ${gib(facts.peak)}`;
  return (
    <div className="nj-Charts">
      {used.length > 0 && (
        <Chart
          title={memory}
          now={over && facts.peak !== null ? peak : `${gib(last(used))} of ${gib(total)}`}
          note={over && facts.peak !== null ? `of ${gib(total)}` : peak}
          points={used}
          most={total}
        />
      )}
      {busy.length > 0 && (
        <Chart
          title={load}
          now={over ? `${mean(busy)} % on average` : `${Math.round(last(busy))} %`}
          points={busy}
          most={100}
        />
      )}
    </div>
  );
}

function Cost({ facts, now }: { facts: Facts; now: number }): JSX.Element | null {
  const cost = costSoFar(facts, now);
  if (cost === null || facts.most <= 0) {
    return null;
  }
  const share = Math.min(1, cost / facts.most);
  const left = facts.began === null ? 0 : facts.began + facts.timeout - now;
  const said = `${money(cost, facts.credits)} of at most ${money(facts.most, facts.credits)}`;
  const fiat = dollars(cost, facts.usd_per_nos, facts.credits);
  return (
    <div className={`nj-Cost ${share > 0.8 ? 'nj-mod-near' : ''}`}>
      <div className="nj-Cost-words">
        <span>Cost so far</span>
        <span>
          <strong>{money(cost, facts.credits)}</strong>
          {fiat && ` (${fiat})`} of at most {money(facts.most, facts.credits)}
        </span>
      </div>
      <div
        className="nj-Cost-bar"
        role="meter"
        aria-label="Cost so far"
        aria-valuenow={Math.round(share * 100)}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuetext={said}
      >
        <span style={{ width: `${share * 100}%` }} />
      </div>
      {facts.timeout > 0 && left > 0 && (
        <div className="nj-Cost-left">
          paid for {clock(left)} more, of {span(facts.timeout)}
        </div>
      )}
    </div>
  );
}

/** The end of what the cell has said: it stays at its end unless somebody scrolls up. */
function Log({ text, lines }: { text: string; lines: number }): JSX.Element {
  const node = useRef<HTMLPreElement>(null);
  const stays = useRef(true);
  useEffect(() => {
    if (node.current && stays.current) {
      node.current.scrollTop = node.current.scrollHeight;
    }
  }, [text]);
  return (
    <div className="nj-CardLog">
      <div className="nj-CardLog-head">
        <span>Log</span>
        <span>{lines === 1 ? '1 line' : `${lines.toLocaleString('en-US')} lines`}</span>
      </div>
      <pre
        ref={node}
        // What scrolls must be reached by the keyboard.
        // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
        tabIndex={0}
        role="log"
        aria-live="off"
        aria-label="End of the log"
        onScroll={({ currentTarget: it }) => {
          stays.current = it.scrollHeight - it.scrollTop - it.clientHeight < 20;
        }}
      >
        {text}
      </pre>
    </div>
  );
}

function Rows({ rows }: { rows: readonly (readonly [string, string])[] }): JSX.Element | null {
  const filled = rows.filter(each => each[1]);
  if (filled.length === 0) {
    return null;
  }
  return (
    <dl className="nj-Rows">
      {filled.map(([label, text], at) => (
        <div key={at}>
          <dt>{label}</dt>
          <dd>{text}</dd>
        </div>
      ))}
    </dl>
  );
}

/** Return what is known of a job that has no receipt yet. */
function placed(facts: Facts): [string, string][] {
  return [
    ['market', facts.market],
    ['host', facts.node],
    ['session', facts.session],
    ['job', facts.job],
    ['network', facts.network]
  ];
}

const MORE = [
  [15 * 60, '15 min'],
  [3600, '1 hour'],
  [4 * 3600, '4 hours']
] as const;

function Extend({ state, view }: { state: CardState; view: View }): JSX.Element {
  const [seconds, choose] = useState<number>(MORE[0][0]);
  const busy = view.busy === 'extend';
  return (
    <div className="nj-Extend">
      <select
        className="nj-Input"
        aria-label="How much longer"
        value={seconds}
        onChange={event => choose(Number(event.target.value))}
      >
        {MORE.map(([each, label]) => (
          <option key={each} value={each}>
            {label}
          </option>
        ))}
      </select>
      <button
        type="button"
        className="nj-Button"
        title="Pay for more time, so that the job can run longer"
        aria-disabled={busy}
        onClick={() => void state.extend(seconds)}
      >
        {busy ? 'Extending…' : 'Extend'}
      </button>
    </div>
  );
}

function gib(amount: number): string {
  return `${amount >= 10 ? Math.round(amount * 10) / 10 : Math.round(amount * 100) / 100} GiB`;
}

function last(points: readonly (readonly [number, number])[]): number {
  return points[points.length - 1]?.[1] ?? 0;
}

function mean(points: readonly (readonly [number, number])[]): number {
  return Math.round(points.reduce((sum, each) => sum + each[1], 0) / points.length);
}
