/** A job that is under way. */

import * as React from 'react';
import { useEffect, useId, useRef, useState } from 'react';

import { Job } from '../api';
import { useNow } from '../look/ticks';
import { clock, plainName, span } from '../look/words';
import { INosana } from '../nosana';
import { Trouble, useShown } from '../panel';
import { Deeds, useDeeds } from './deeds';
import { Sign } from './sign';
import { Spark } from './spark';
import { costAt, inDollars, kindOf, money, said, ticking } from './words';

/** How much more time can be bought at a press, in seconds. */
const MORE = [600, 1800, 3600] as const;

export const Running = React.memo(function Running(props: {
  nosana: INosana;
  job: Job;
}): JSX.Element {
  const { nosana, job } = props;
  const deeds = useDeeds(nosana, job);
  const title = useId();
  const { live } = job;
  return (
    <li className="nj-Job" aria-labelledby={title} data-job={job.job} data-cell={job.cell}>
      <p className="nj-Job-head">
        <Sign kind={kindOf(job)} />
        <span id={title} className="nj-Mono nj-Cut" title={job.title}>
          {job.title || (job.session ? `session ${job.session}` : 'a job')}
        </span>
        <Elapsed job={job} />
      </p>
      <p className="nj-Job-state">{said(job)}</p>
      <p className="nj-Job-place nj-Cut">{placeOf(job)}</p>
      <Cost job={job} />
      {live && <Spark samples={live.samples} />}
      {live && live.log !== '' && <Log log={live.log} lines={live.lines} />}
      <Buttons job={job} deeds={deeds} />
      <p className="nj-Job-told" role="status">
        {deeds.told}
      </p>
      {deeds.problem && (
        <Trouble problem={deeds.problem}>
          {deeds.agree && (
            <button type="button" className="nj-Button" data-kind="main" onClick={deeds.agree}>
              Yes, pay for it
            </button>
          )}
          <button type="button" className="nj-Button" onClick={deeds.forget}>
            {deeds.agree ? 'No' : 'Dismiss'}
          </button>
        </Trouble>
      )}
    </li>
  );
});

function placeOf(job: Job): string {
  const { live } = job;
  const where = [plainName(job.gpu), job.market && job.market !== job.gpu ? job.market : ''];
  const file = job.notebook.slice(job.notebook.lastIndexOf('/') + 1);
  return [...where, live?.session || job.session ? `session ${job.session}` : '', file]
    .filter(Boolean)
    .join(' · ');
}

function Elapsed({ job }: { job: Job }): JSX.Element {
  const now = useNow(useShown());
  const from = job.live?.began ?? job.live?.since ?? job.created;
  return (
    <span className="nj-Job-clock nj-Number" role="timer" aria-label="Time">
      {clock(now - from)}
    </span>
  );
}

function Cost({ job }: { job: Job }): JSX.Element {
  const now = useNow(useShown());
  const { live } = job;
  const cost = costAt(job, now);
  const most = live?.most ?? 0;
  if (cost === null) {
    const text = most ? `Costs at most ${money(most, job.credits)}` : '';
    return <p className="nj-Job-cost nj-Number">{text}</p>;
  }
  const dollars = inDollars(cost, job);
  const percent = most ? Math.min(100, (100 * cost) / most) : 0;
  return (
    <>
      <p className="nj-Job-cost nj-Number">
        <span>
          {ticking(cost, job.credits)}
          {dollars && <span> ({dollars})</span>}
        </span>
        {most > 0 && <span>of at most {money(most, job.credits)}</span>}
      </p>
      <div className="nj-Bar" aria-hidden="true">
        <span style={{ width: `${percent}%` }} />
      </div>
    </>
  );
}

/** The end of what a cell has said: it follows as long as one has not scrolled up. */
function Log({ log, lines }: { log: string; lines: number }): JSX.Element {
  const [open, setOpen] = useState(false);
  const place = useRef<HTMLPreElement>(null);
  const follows = useRef(true);
  useEffect(() => {
    if (open && follows.current && place.current) {
      place.current.scrollTop = place.current.scrollHeight;
    }
  }, [log, open]);
  const scrolled = (): void => {
    const node = place.current;
    if (node) {
      follows.current = node.scrollHeight - node.scrollTop - node.clientHeight < 8;
    }
  };
  return (
    <details className="nj-Log" onToggle={event => setOpen(event.currentTarget.open)}>
      <summary>
        Log <span className="nj-Number">({lines === 1 ? '1 line' : `${lines} lines`})</span>
      </summary>
      {open && (
        // What scrolls must be reached by keyboard.
        // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
        <pre ref={place} onScroll={scrolled} tabIndex={0} role="region" aria-label="Log">
          {log}
        </pre>
      )}
    </details>
  );
}

function Buttons({ job, deeds }: { job: Job; deeds: Deeds }): JSX.Element {
  const [asks, setAsks] = useState<'' | 'end' | 'extend'>('');
  const first = useRef<HTMLButtonElement>(null);
  const opener = useRef<HTMLElement | null>(null);
  useEffect(() => {
    if (asks) {
      first.current?.focus();
    }
  }, [asks]);
  const ask = (what: 'end' | 'extend') => (event: React.MouseEvent<HTMLElement>) => {
    opener.current = event.currentTarget;
    setAsks(asks === what ? '' : what);
  };
  const leave = (): void => {
    setAsks('');
    opener.current?.focus();
  };
  const escape = (event: React.KeyboardEvent): void => {
    if (event.key === 'Escape' && asks) {
      event.stopPropagation();
      leave();
    }
  };
  // What a kernel waits for is interrupted first; nothing of it is lost on the host then.
  const interruptible = job.live !== null && job.state !== 'detached' && !deeds.interrupted;
  return (
    // Escape closes what is asked, wherever in it the focus is.
    // eslint-disable-next-line jsx-a11y/no-static-element-interactions
    <div className="nj-Job-deeds" onKeyDown={escape}>
      <div className="nj-Buttons">
        {job.stoppable && interruptible && (
          <button
            type="button"
            className="nj-Button"
            aria-disabled={deeds.busy !== ''}
            title="Interrupt the cell, as the stop button of its notebook does"
            onClick={deeds.stop}
          >
            {deeds.busy === 'stop' ? 'Stopping…' : 'Stop'}
          </button>
        )}
        {job.stoppable && !interruptible && (
          <button
            type="button"
            className="nj-Button"
            aria-expanded={asks === 'end'}
            aria-disabled={deeds.busy !== ''}
            onClick={ask('end')}
          >
            {deeds.busy === 'end' ? 'Ending…' : job.session ? 'End session' : 'End job'}
          </button>
        )}
        {job.extendable && (
          <button
            type="button"
            className="nj-Button"
            aria-expanded={asks === 'extend'}
            aria-disabled={deeds.busy !== ''}
            onClick={ask('extend')}
          >
            {deeds.busy === 'extend' ? 'Extending…' : 'Extend'}
          </button>
        )}
        {job.notebook !== '' && (
          <button
            type="button"
            className="nj-Button"
            title={`Show its cell in ${job.notebook}`}
            onClick={deeds.open}
          >
            Open
          </button>
        )}
        {job.attachable && job.job !== '' && (
          <button
            type="button"
            className="nj-Button"
            title="Put a cell into the notebook in front that shows what this job says"
            onClick={deeds.attach}
          >
            Attach
          </button>
        )}
      </div>
      {asks === 'end' && (
        <div className="nj-Ask" role="group" aria-label="End it?">
          <p>
            {job.session ? 'End this session?' : 'End this job?'} Its host is paid for the time
            until now, and the rest of the deposit comes back. What has not been fetched is lost.
          </p>
          <div className="nj-Buttons">
            <button
              ref={first}
              type="button"
              className="nj-Button"
              data-kind="danger"
              onClick={() => {
                leave();
                deeds.end();
              }}
            >
              {job.session ? 'End session' : 'End job'}
            </button>
            <button type="button" className="nj-Button" onClick={leave}>
              Keep
            </button>
          </div>
        </div>
      )}
      {asks === 'extend' && (
        <div className="nj-Ask" role="group" aria-label="More time">
          <p>
            More time{job.live?.timeout ? `, beyond ${span(job.live.timeout)}` : ''}. What is not
            used comes back.
          </p>
          <div className="nj-Buttons">
            {MORE.map((seconds, index) => (
              <button
                key={seconds}
                ref={index === 0 ? first : undefined}
                type="button"
                className="nj-Button"
                onClick={() => {
                  leave();
                  deeds.extend(seconds);
                }}
              >
                +{span(seconds)}
                {job.live?.price ? ` · ${money(job.live.price * seconds, job.credits)}` : ''}
              </button>
            ))}
          </div>
        </div>
      )}
    </div>
  );
}
