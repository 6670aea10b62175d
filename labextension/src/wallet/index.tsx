/** The section `Wallet`: who pays, with what, and how much of it is spent. */

import * as React from 'react';
import { useCallback, useState } from 'react';

import { Fund, Problem, problemOf, useAnswer, useStore, Wallet as Held } from '../api';
import { Copy } from '../look/copy';
import { Qr } from '../look/qr';
import { folderIn, useNotebook } from '../look/place';
import { nos, short, sol, span, usd } from '../look/words';
import { INosana } from '../nosana';
import { Empty, Trouble, useShown, Waiting } from '../panel';
import { Spending } from './spending';

export function Wallet({ nosana }: { nosana: INosana }): JSX.Element {
  const { client, store } = nosana;
  const shown = useShown();
  const stale = useStore(store, state => state.stale.wallet);
  const notebook = useNotebook(nosana, shown);
  const ask = useCallback(
    () => client.get<Held>('wallet', { folder: folderIn(notebook), notebook }),
    [client, notebook]
  );
  const { value, problem, again } = useAnswer(ask, { stale, shown });
  const [busy, setBusy] = useState('');
  const [failed, setFailed] = useState<Problem | null>(null);

  const post = async (path: string, body: object = {}): Promise<void> => {
    setBusy(path);
    setFailed(null);
    try {
      await client.post<Held>(path, body);
      store.renew('wallet');
    } catch (error) {
      setFailed(problemOf(error));
    }
    setBusy('');
  };

  if (value === null) {
    return problem ? (
      <Trouble problem={problem}>
        <Button label="Try again" act={again} />
      </Trouble>
    ) : (
      <Waiting lines={4} />
    );
  }
  const start = value.local && (!value.up || (value.problem !== null && value.address === ''));
  return (
    <div className="nj-Wallet">
      <Who wallet={value} />
      {value.problem !== null && (
        <Trouble problem={value.problem}>
          {start && (
            <Button
              label={busy ? 'Starting…' : 'Start the local network'}
              act={() => post('network/start')}
              busy={busy !== ''}
              main
            />
          )}
          {!start && <Button label="Try again" act={again} />}
        </Trouble>
      )}
      {value.address !== '' && <Money wallet={value} />}
      {failed && <Trouble problem={failed} />}
      {value.address !== '' &&
        (value.can_fund ? (
          <Button
            label={busy ? 'Funding…' : 'Add 10 NOS of play money'}
            act={() => post('wallet/fund', { nos: 10_000_000 } satisfies Fund)}
            busy={busy !== ''}
          />
        ) : (
          <Deposit wallet={value} />
        ))}
      {problem && <Empty>Not renewed: {problem.message}.</Empty>}
      <Spending wallet={value} />
    </div>
  );
}

function Button(props: {
  label: string;
  act: () => unknown;
  busy?: boolean;
  main?: boolean;
}): JSX.Element {
  return (
    <button
      type="button"
      className="nj-Button"
      data-kind={props.main ? 'main' : undefined}
      // It keeps the focus while it is at work: `disabled` would lose it.
      aria-disabled={props.busy}
      onClick={() => (props.busy ? undefined : props.act())}
    >
      {props.label}
    </button>
  );
}

function Who({ wallet }: { wallet: Held }): JSX.Element {
  const kind = wallet.local ? 'local' : wallet.network;
  const meaning = wallet.local
    ? 'A network on this machine, with play money'
    : `Nosana on ${wallet.network}`;
  return (
    <div className="nj-Wallet-who">
      <span className="nj-Badge" data-kind={kind} title={meaning}>
        {wallet.network}
      </span>
      {wallet.address !== '' ? (
        <span className="nj-Wallet-address">
          <span className="nj-Mono" title={wallet.address}>
            {short(wallet.address)}
          </span>
          <Copy text={wallet.address} what="the address" />
        </span>
      ) : (
        <span className="nj-Wallet-address">{wallet.problem ? '' : 'no wallet yet'}</span>
      )}
    </div>
  );
}

function Money({ wallet }: { wallet: Held }): JSX.Element {
  const { credits, rate, rate_age: age, rate_sources: sources } = wallet;
  return (
    <dl className="nj-Money nj-Number">
      {credits !== null && (
        <div className="nj-Money-main">
          <dt className="nj-Hidden">Credits</dt>
          <dd>{usd(credits)} of credits</dd>
        </div>
      )}
      <div className={credits === null ? 'nj-Money-main' : undefined}>
        <dt className="nj-Hidden">NOS</dt>
        <dd>{nos(wallet.nos)}</dd>
        <dd>{wallet.nos_usd === null ? '' : usd(wallet.nos_usd)}</dd>
      </div>
      <div>
        <dt className="nj-Hidden">SOL</dt>
        <dd>{sol(wallet.sol)}</dd>
        <dd>{wallet.sol_usd === null ? 'for fees' : usd(wallet.sol_usd)}</dd>
      </div>
      {rate !== null && (
        <div className="nj-Money-rate" title={sources.length ? `From ${sources.join(', ')}` : ''}>
          <dt className="nj-Hidden">Rate</dt>
          <dd>
            {usd(rate * 1_000_000)} a NOS{age === null ? '' : age < 60 ? ', just now' : `, ${span(age)} old`}
          </dd>
        </div>
      )}
    </dl>
  );
}

/** Where NOS of the user's own go. */
function Deposit({ wallet }: { wallet: Held }): JSX.Element {
  const [open, setOpen] = useState(false);
  return (
    <div className="nj-Deposit">
      <button
        type="button"
        className="nj-Button"
        aria-expanded={open}
        onClick={() => setOpen(!open)}
      >
        {open ? 'Hide the address' : 'Fund'}
      </button>
      {open && (
        <div className="nj-Deposit-body">
          <p>
            Send NOS, and a little SOL for fees, to this address on Solana{' '}
            <strong>{wallet.network}</strong>:
          </p>
          {wallet.qr !== '' && <Qr modules={wallet.qr} label="QR code of the address" />}
          <p className="nj-Mono nj-Deposit-address">
            {wallet.address} <Copy text={wallet.address} what="the whole address" />
          </p>
        </div>
      )}
    </div>
  );
}
