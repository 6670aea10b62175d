/** A job that is over: one line that opens. */

import * as React from 'react';
import { useCallback, useId, useState } from 'react';

import { Job, keyOf, useAnswer } from '../api';
import { useNow } from '../look/ticks';
import { Copy } from '../look/copy';
import { ago, plainName, short, usd } from '../look/words';
import { INosana } from '../nosana';
import { Trouble, useShown, Waiting } from '../panel';
import { save } from './saving';
import { useDeeds } from './deeds';
import { Sign } from './sign';
import { insert } from '../notebooks';
import { kindOf, money, said } from './words';

/** What is too long to be read: an address, or the signature of a transaction. */
const ADDRESS = /^[1-9A-HJ-NP-Za-km-z]{32,90}$/;

export const Past = React.memo(function Past(props: {
  nosana: INosana;
  job: Job;
}): JSX.Element {
  const { nosana, job } = props;
  const [open, setOpen] = useState(false);
  const now = useNow(false);
  const body = useId();
  const when = job.ended ?? job.created;
  return (
    <li className="nj-Past" data-job={job.job}>
      <button
        type="button"
        className="nj-Past-head"
        aria-expanded={open}
        aria-controls={body}
        onClick={() => setOpen(!open)}
      >
        <Sign kind={kindOf(job)} />
        <span className="nj-Mono nj-Cut">{job.title || short(job.job)}</span>
        <span className="nj-Number nj-Past-paid">
          {job.paid === null ? '' : money(job.paid, job.credits)}
        </span>
        <span className="nj-Past-line nj-Cut">
          {[how(job), plainName(job.gpu)].filter(Boolean).join(' · ')}
        </span>
        <time dateTime={new Date(when * 1000).toISOString()}>{ago(when, now)}</time>
      </button>
      <div id={body} hidden={!open}>
        {open && <Receipt nosana={nosana} job={job} />}
      </div>
    </li>
  );
});

function Address(props: { text: string; what: string }): JSX.Element {
  return (
    <span className="nj-Address">
      <span className="nj-Mono" title={props.text}>
        {short(props.text)}
      </span>
      <Copy text={props.text} what={props.what} />
    </span>
  );
}

/** How it ended, in a word or two. */
function how(job: Job): string {
  const known = job.paid !== null || job.ended !== null;
  return known ? job.state.charAt(0).toUpperCase() + job.state.slice(1) : said(job);
}

function Receipt({ nosana, job }: { nosana: INosana; job: Job }): JSX.Element {
  const { client } = nosana;
  const name = encodeURIComponent(keyOf(job));
  const ask = useCallback(() => client.get<Job>(`jobs/${name}`), [client, name]);
  const { value, problem, again } = useAnswer(ask, { stale: job.state, shown: useShown() });
  const deeds = useDeeds(nosana, job);
  const [failed, setFailed] = useState('');
  if (value === null) {
    return problem ? (
      <Trouble problem={problem}>
        <button type="button" className="nj-Button" onClick={again}>
          Try again
        </button>
      </Trouble>
    ) : (
      <Waiting />
    );
  }
  const told = (error: unknown): void =>
    setFailed(error instanceof Error ? error.message : String(error));
  const rows = Object.entries(value.receipt);
  return (
    <div className="nj-Receipt">
      {rows.length ? (
        <dl>
          {rows.map(([label, text]) => (
            <React.Fragment key={label}>
              <dt>{label}</dt>
              <dd className="nj-Number">
                {ADDRESS.test(text) ? <Address text={text} what={label} /> : text}
              </dd>
            </React.Fragment>
          ))}
        </dl>
      ) : (
        <p>
          There is no receipt of it here
          {value.open ? ': money of it may still be in its vault.' : '.'}
        </p>
      )}
      {value.paid_usd !== null && <p className="nj-Quiet">{usd(value.paid_usd)} at today’s rate</p>}
      {value.verified !== '' && <p className="nj-Quiet">{value.verified}</p>}
      <div className="nj-Buttons">
        {value.source !== '' && (
          <button
            type="button"
            className="nj-Button"
            title="Put the cell into the notebook in front: it is yours to run"
            onClick={() => void insert(nosana, [value.source]).catch(told)}
          >
            Insert again
          </button>
        )}
        {job.notebook !== '' && (
          <button type="button" className="nj-Button" onClick={deeds.open}>
            Open
          </button>
        )}
        {rows.length > 0 && (
          <button
            type="button"
            className="nj-Button"
            title="The attested receipt, as a file that others can check"
            onClick={() => void save(client, `receipts/${name}`).catch(told)}
          >
            Receipt
          </button>
        )}
      </div>
      {failed !== '' && <Trouble problem={failed} />}
      {deeds.problem && <Trouble problem={deeds.problem} />}
    </div>
  );
}
