/** The markets that fit, cheapest first. */

import * as React from 'react';
import { useState } from 'react';

import { Elsewhere, Market } from '../api';
import { nos, plainName, usd } from '../look/words';

/** How many are shown at first: the rest is a press away, so that what is below stays in sight. */
const FEW = 4;

export function Markets(props: {
  markets: readonly Market[];
  elsewhere: readonly Elsewhere[];
  /** Slug of the market that the cell's magic line names. */
  chosen: string;
  pick: ((market: Market) => void) | null;
}): JSX.Element {
  const { markets, elsewhere } = props;
  const [all, setAll] = useState(false);
  const isChosen = ({ slug, address }: Market): boolean =>
    props.chosen !== '' && (props.chosen === slug || props.chosen === address);
  const shown =
    all || markets.length <= FEW + 1
      ? markets
      : markets.filter((each, at) => at < FEW || isChosen(each));
  return (
    <>
      <ul className="nj-Markets" aria-label="Markets that fit, cheapest first">
        {shown.map(market => (
          <Row
            key={market.address}
            market={market}
            // Said once of a card, beside its cheapest market.
            elsewhere={
              markets.find(each => isSame(each.gpu, market.gpu)) === market
                ? elsewhere.filter(each => isSame(each.card, market.gpu))
                : []
            }
            chosen={isChosen(market)}
            pick={props.pick}
          />
        ))}
      </ul>
      {markets.length > FEW + 1 && (
        <button
          type="button"
          className="nj-Button nj-More"
          data-kind="link"
          aria-expanded={all}
          onClick={() => setAll(!all)}
        >
          {all ? 'Show the cheapest alone' : `Show all ${markets.length} markets`}
        </button>
      )}
    </>
  );
}

function Row(props: {
  market: Market;
  elsewhere: readonly Elsewhere[];
  chosen: boolean;
  pick: ((market: Market) => void) | null;
}): JSX.Element {
  const { market, elsewhere, chosen, pick } = props;
  const gpu = plainName(market.gpu) || market.name;
  return (
    <li className="nj-Market" data-chosen={chosen}>
      <span className="nj-Market-gpu" title={`${market.name} (${market.slug})`}>
        {gpu}
      </span>
      <span className="nj-Market-price nj-Number">
        {market.hour_usd === null ? nos(market.hour) : usd(market.hour_usd)}
        <small>/h</small>
      </span>
      <span className="nj-Market-about">
        {market.vram > 0 && <span>{Math.round(market.vram)} GiB</span>}
        <Queue market={market} />
        {/community/i.test(`${market.slug} ${market.tier}`) && <span>community</span>}
      </span>
      <span className="nj-Market-nos nj-Number">
        {market.hour_usd !== null && `${nos(market.hour)}/h`}
      </span>
      <button
        type="button"
        className="nj-Button nj-Market-use"
        data-kind={chosen ? 'main' : ''}
        aria-label={`Use ${gpu} (${market.slug}) for this cell`}
        aria-pressed={chosen}
        disabled={pick === null}
        onClick={() => pick?.(market)}
      >
        Use
      </button>
      {elsewhere.length > 0 && <Others elsewhere={elsewhere} />}
    </li>
  );
}

function Queue({ market }: { market: Market }): JSX.Element {
  if (market.hosts > 0) {
    return (
      <span className="nj-Free" title="Hosts that wait for a job">
        {market.hosts} free
      </span>
    );
  }
  if (market.jobs > 0) {
    return <span>{market.jobs === 1 ? '1 job waits' : `${market.jobs} jobs wait`}</span>;
  }
  return <span>no host free</span>;
}

/** What others ask for the same card, and when they did. */
function Others({ elsewhere }: { elsewhere: readonly Elsewhere[] }): JSX.Element {
  return (
    <span className="nj-Market-others">
      {elsewhere.map((each, at) => (
        <span key={at} title={[each.date, each.source].filter(Boolean).join(', ')}>
          {at > 0 && ', '}
          {each.provider} <span className="nj-Number">{usd(each.hour_usd)}</span>
        </span>
      ))}
      {` · ${months(elsewhere.map(each => each.date))}`}
    </span>
  );
}

/** Write when prices are from: `Sep 2026`, `Mar to Sep 2026`. */
function months(dates: readonly string[]): string {
  const sorted = [...dates].sort();
  const [from, to] = [month(sorted[0] ?? ''), month(sorted[sorted.length - 1] ?? '')];
  return from === to ? to : `${from} to ${to}`;
}

function month(date: string): string {
  const at = new Date(`${date}T00:00:00`);
  return Number.isNaN(at.getTime())
    ? date
    : at.toLocaleDateString('en-US', { month: 'short', year: 'numeric' });
}

/** Whether two names are of the same card: `A10G`, `NVIDIA A10G`. */
function isSame(one: string, other: string): boolean {
  const bare = (name: string): string => plainName(name).toLowerCase().replace(/[^a-z0-9]/g, '');
  return bare(one) !== '' && bare(one) === bare(other);
}
