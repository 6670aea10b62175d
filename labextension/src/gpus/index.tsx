/** The section `GPUs` of the panel: what do I need, where is it, and what does it cost? */

import * as React from 'react';
import { useCallback, useEffect, useState } from 'react';

import { Gpus as Found, Market, Needs, useAnswer, useStore } from '../api';
import { ago } from '../look/words';
import { INosana } from '../nosana';
import { Empty, Trouble, useShown, Waiting } from '../panel';
import { useCell, writeOptions } from './cell';
import { asksTooLittle, Estimate } from './estimate';
import { Markets } from './markets';
import { useObjects } from './objects';
import { NoEdit, optionOf, Options } from './options';
import { sizeFor, sizeWords, Slider } from './slider';

export function Gpus({ nosana }: { nosana: INosana }): JSX.Element {
  const { client, notebooks } = nosana;
  const shown = useShown();
  const cell = useCell(notebooks, shown);
  const asks = cell.kind === 'code' && cell.code.trim() !== '';
  const needs = useAnswer(
    useCallback(
      () => (asks ? client.post<Needs>('needs', { code: cell.code }) : Promise.resolve(null)),
      [client, asks, cell.code]
    ),
    { stale: 0, shown }
  );
  const sharper = useObjects(notebooks, cell.code, shown && asks);
  const told = asks && needs.value ? { ...needs.value, ...sharper } : null;
  const [byHand, choose] = useState<number | null>(null);
  // Another cell has needs of its own.
  useEffect(() => choose(null), [notebooks?.activeCell]);
  // What its line asks for may be less than it takes.
  const need = told && sizeFor(asksTooLittle(told) ? told.high : told.need);
  const size = byHand ?? need ?? 0;
  const writing = useWriting(nosana, cell.kind === 'code');
  return (
    <div className="nj-Gpus">
      <Estimate
        cell={cell}
        answer={{ ...needs, value: told }}
        sharpened={sharper !== null}
      />
      <Slider
        size={size}
        range={told && told.high > 0 ? [told.low, told.high] : null}
        choose={choose}
      />
      <div className="nj-Buttons">
        <button
          type="button"
          className="nj-Button"
          data-kind="main"
          disabled={writing.write === null}
          onClick={() => writing.write?.(ask(size, null))}
        >
          {size === 0 ? 'Use any card' : `Use ${sizeWords(size)}`}
        </button>
        {byHand !== null && need !== null && byHand !== need && (
          <button type="button" className="nj-Button" onClick={() => choose(null)}>
            As the cell needs
          </button>
        )}
      </div>
      <p className="nj-Note" role="status">
        {writing.said}
      </p>
      <Offers
        nosana={nosana}
        size={size}
        chosen={optionOf(cell.code, '--market')}
        write={writing.write}
      />
    </div>
  );
}

/** Return the options that ask for so much, of one market or of the cheapest. */
function ask(size: number, market: Market | null): Options {
  return {
    '--vram': size > 0 ? String(size) : null,
    '--market': market && (market.slug || market.address),
    '--gpu': null
  };
}

interface Writing {
  write: ((options: Options) => void) | null;
  said: string;
}

function useWriting({ notebooks }: INosana, can: boolean): Writing {
  const [said, say] = useState('');
  useEffect(() => say(''), [notebooks?.activeCell]);
  const write = useCallback(
    (options: Options) => {
      try {
        writeOptions(notebooks, options);
        const words = Object.entries(options).filter(([, value]) => value !== null);
        say(
          words.length > 0
            ? `The cell now says ${words.map(([name, value]) => `${name} ${value}`).join(' ')}.`
            : 'The cell now asks for any card.'
        );
      } catch (error) {
        if (!(error instanceof NoEdit)) {
          throw error;
        }
        say(error.message);
      }
    },
    [notebooks]
  );
  return { write: can ? write : null, said };
}

function Offers(props: {
  nosana: INosana;
  size: number;
  chosen: string;
  write: ((options: Options) => void) | null;
}): JSX.Element {
  const { nosana, size, write } = props;
  const { client, store } = nosana;
  const stale = useStore(store, state => state.stale.gpus);
  const shown = useShown();
  const gpus = useAnswer(
    useCallback(() => client.get<Found>('gpus', { vram: size }), [client, size]),
    { stale, shown }
  );
  if (gpus.value === null) {
    return gpus.problem ? (
      <Trouble problem={gpus.problem}>
        <button type="button" className="nj-Button" onClick={gpus.again}>
          Ask again
        </button>
      </Trouble>
    ) : (
      <Waiting lines={5} />
    );
  }
  const { markets, elsewhere, problem, rate_age } = gpus.value;
  const wrong = gpus.problem ?? problem;
  const fits = markets.filter(each => each.fits);
  const smaller = markets.length - fits.length;
  return (
    <>
      {wrong && (
        <Trouble problem={wrong}>
          <button type="button" className="nj-Button" onClick={gpus.again}>
            Ask again
          </button>
        </Trouble>
      )}
      {fits.length > 0 ? (
        <Markets
          markets={fits}
          elsewhere={elsewhere}
          chosen={props.chosen}
          pick={write && (market => write(ask(size, market)))}
        />
      ) : (
        !problem && <Empty>{markets.length > 0 ? TOO_MUCH : NO_MARKETS}</Empty>
      )}
      <p className="nj-Note">
        {smaller > 0 && `${smaller === 1 ? '1 market has' : `${smaller} markets have`} less memory. `}
        {rate_age !== null && `NOS in dollars as of ${ago(-rate_age, 0)}.`}
      </p>
    </>
  );
}

const TOO_MUCH = 'No market has so much memory on one card. Choose less, or share the work among hosts.';
const NO_MARKETS = 'No markets are known on this network yet.';
