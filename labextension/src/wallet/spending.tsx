/** What was spent, and how much of each budget that is. */

import * as React from 'react';

import { Budget, Wallet } from '../api';
import { nos, usd } from '../look/words';

const NAMES: Readonly<Record<Budget['name'], string>> = {
  session: 'Open kernels',
  notebook: 'This notebook',
  day: 'Today',
  month: 'This month'
};

export function Spending({ wallet }: { wallet: Wallet }): JSX.Element {
  const spelled = wallet.credits === null ? nos : usd;
  const has = (name: Budget['name']): boolean => wallet.budgets.some(each => each.name === name);
  return (
    <div className="nj-Spending">
      <h3 className="nj-Heading" title="With what jobs under way may still take">
        Spent
      </h3>
      {!has('day') && <Plain name="Today" amount={spelled(wallet.today)} />}
      {!has('month') && <Plain name="This month" amount={spelled(wallet.month)} />}
      {wallet.budgets.map(each => (
        <Bar key={each.name} budget={each} />
      ))}
      {wallet.each_cell !== '' && (
        <Plain name="Each cell" amount={`at most ${trimmed(wallet.each_cell)}`} />
      )}
      {wallet.budgets.length === 0 && (
        <p className="nj-Quiet">
          No budget is set. To set one:{' '}
          <code>%nosana config budget_day &apos;5 NOS&apos;</code>
        </p>
      )}
    </div>
  );
}

function Plain(props: { name: string; amount: string }): JSX.Element {
  return (
    <p className="nj-Spending-row">
      <span>{props.name}</span>
      <span className="nj-Number">{props.amount}</span>
    </p>
  );
}

function Bar({ budget }: { budget: Budget }): JSX.Element {
  const percent = Math.round(100 * Math.min(1, Math.max(0, budget.share)));
  const name = NAMES[budget.name];
  const used = `${trimmed(budget.used)} of ${trimmed(budget.limit)}`;
  const level = percent >= 100 ? 'over' : percent >= 80 ? 'near' : 'fine';
  return (
    <div className="nj-Spending-budget">
      <p className="nj-Spending-row">
        <span>{name}</span>
        <span className="nj-Number">{used}</span>
      </p>
      <div
        className="nj-Bar"
        data-level={level}
        role="meter"
        aria-label={`Budget: ${name}`}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={percent}
        aria-valuetext={`${used}, ${trimmed(budget.left)} left`}
      >
        <span style={{ width: `${percent}%` }} />
      </div>
      {level !== 'fine' && (
        <p className="nj-Quiet">
          {level === 'over'
            ? 'Used up: new cells are refused until it is raised.'
            : `${trimmed(budget.left)} left.`}
        </p>
      )}
    </div>
  );
}

/** Take away zeros at the end that say nothing: `5.000000 NOS`. */
function trimmed(amount: string): string {
  return amount.replace(/(\.\d*?[1-9])0+(?=\D|$)|\.0+(?=\D|$)/, '$1');
}
