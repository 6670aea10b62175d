/** The section `Jobs`: what is under way, and what is over. */

import * as React from 'react';
import { useDeferredValue, useEffect, useState } from 'react';

import { downloadIcon } from '@jupyterlab/ui-components';

import { Job, keyOf, Problem, problemOf, Swept, useStore } from '../api';
import { INosana } from '../nosana';
import { Empty, Trouble, useShown, Waiting } from '../panel';
import { Announcer } from './announcer';
import { PAGE, useHistory } from './history';
import { Past } from './past';
import { Running } from './running';
import { save } from './saving';

/** How long nothing is typed until is searched, in milliseconds. */
const PAUSE = 200;

/** How many are shown at first, so that what is below stays in sight. */
const FEW = 6;

export function Jobs({ nosana }: { nosana: INosana }): JSX.Element {
  const running = useStore(nosana.store, state => state.running);
  const known = useStore(nosana.store, state => state.known);
  const [history, setHistory] = useState({ total: 0, asked: false });
  return (
    <div className="nj-Jobs">
      <Announcer running={running} />
      {running.length > 0 && (
        <ul className="nj-List" role="list" aria-label="Under way">
          {running.map(job => (
            <Running key={keyOf(job)} nosana={nosana} job={job} />
          ))}
        </ul>
      )}
      <Left nosana={nosana} running={running} />
      {known && running.length === 0 && history.asked && history.total > 0 && (
        <Empty>Nothing runs now.</Empty>
      )}
      <Over nosana={nosana} told={setHistory} quiet={running.length > 0} />
    </div>
  );
}

/** Jobs whose money is out and which nobody follows. */
function Left(props: { nosana: INosana; running: readonly Job[] }): JSX.Element | null {
  const { client, store } = props.nosana;
  const [told, setTold] = useState('');
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const left = props.running.filter(
    job => !job.followed && job.state !== 'detached' && !job.live
  ).length;
  const sweep = async (): Promise<void> => {
    setBusy(true);
    setProblem(null);
    try {
      setTold((await client.post<Swept>('sweep')).text);
      store.renew('wallet', 'jobs');
    } catch (error) {
      setProblem(problemOf(error));
    }
    setBusy(false);
  };
  return (
    <>
      {left > 0 && (
        <div className="nj-Ask">
          <p>
            {left === 1 ? 'Nobody follows 1 job' : `Nobody follows ${left} jobs`} any more. Settling
            ends what still runs, pays the hosts and brings the rest of the deposits back.
          </p>
          <div className="nj-Buttons">
            <button
              type="button"
              className="nj-Button"
              aria-disabled={busy}
              onClick={() => (busy ? undefined : void sweep())}
            >
              {busy ? 'Settling…' : 'Settle'}
            </button>
          </div>
        </div>
      )}
      <p className="nj-Job-told" role="status">
        {told}
      </p>
      {problem && <Trouble problem={problem} />}
    </>
  );
}

function Over(props: {
  nosana: INosana;
  told: (state: { total: number; asked: boolean }) => void;
  quiet: boolean;
}): JSX.Element {
  const { nosana, told, quiet } = props;
  const [typed, setTyped] = useState('');
  const [query, setQuery] = useState('');
  const [failed, setFailed] = useState<Problem | null>(null);
  const [few, setFew] = useState(true);
  const stale = useStore(nosana.store, state => state.stale.jobs);
  const history = useHistory(nosana, { query, stale, shown: useShown() });
  const jobs = useDeferredValue(history.jobs);
  useEffect(() => {
    const timer = window.setTimeout(() => setQuery(typed.trim()), PAUSE);
    return () => window.clearTimeout(timer);
  }, [typed]);
  const asked = history.jobs !== null;
  useEffect(() => told({ total: history.total, asked }), [told, history.total, asked]);

  if (jobs === null) {
    return history.problem ? (
      <Trouble problem={history.problem}>
        <button type="button" className="nj-Button" onClick={history.again}>
          Try again
        </button>
      </Trouble>
    ) : (
      <Waiting />
    );
  }
  if (jobs.length === 0 && query === '' && typed === '') {
    return quiet ? (
      <></>
    ) : (
      <Empty>
        No job yet. Write <code>%%nosana</code> above a cell and run it: it shows here what it does
        and costs.
      </Empty>
    );
  }
  // Who searches wants all that is found.
  const shown = few && query === '' ? jobs.slice(0, FEW) : jobs;
  const left = history.total - shown.length;
  const hidden = jobs.length - shown.length;
  return (
    <div className="nj-History">
      <div className="nj-History-head">
        <h3 className="nj-Heading">History</h3>
        <span className="nj-Number">
          {history.total === 1 ? '1 job' : `${history.total.toLocaleString('en-US')} jobs`}
        </span>
        <button
          type="button"
          className="nj-Button"
          data-kind="icon"
          title="Save all jobs as CSV"
          aria-label="Save all jobs as CSV"
          onClick={() =>
            void save(nosana.client, 'jobs.csv').catch(error => setFailed(problemOf(error)))
          }
        >
          <downloadIcon.react tag="span" className="nj-Icon" />
        </button>
      </div>
      <input
        type="search"
        className="nj-Input"
        placeholder="Search cells, markets, GPUs, addresses"
        aria-label="Search the history"
        value={typed}
        onChange={event => setTyped(event.target.value)}
      />
      {failed && <Trouble problem={failed} />}
      {history.problem && <Empty>Not renewed: {history.problem.message}.</Empty>}
      {jobs.length === 0 ? (
        <Empty>No job matches “{query}”.</Empty>
      ) : (
        <ul className="nj-List" role="list" aria-label="Over">
          {shown.map(job => (
            <Past key={keyOf(job)} nosana={nosana} job={job} />
          ))}
        </ul>
      )}
      {left > 0 && (
        <button
          type="button"
          className="nj-Button nj-History-more"
          aria-disabled={history.busy && !hidden}
          onClick={() => (hidden ? setFew(false) : history.busy ? undefined : history.more())}
        >
          {history.busy && !hidden
            ? 'Loading…'
            : `Show ${hidden || Math.min(PAGE, left)} more of ${left.toLocaleString('en-US')}`}
        </button>
      )}
    </div>
  );
}
