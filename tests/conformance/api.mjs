// The services around the chain: market list, credits by API key, authorization, pins.
import { writeFileSync } from 'node:fs';

import { getJobExposedServices } from '@nosana/kit';

import { clientOf } from './client.mjs';
import { given, person, refused, tell, until } from './stranger.mjs';

// Markets

const anybody = await clientOf();
const markets = await anybody.api.markets.list();
tell('markets', markets);
tell('market', await anybody.api.markets.get(markets[0].address));
tell('slug', await anybody.api.markets.get(markets[0].slug));
tell('resources', await anybody.api.markets.getRequiredResources(markets[0].address));
await refused('no market', () => anybody.api.markets.get('nowhere'));

// Credits

const { api, ipfs, jobs } = await clientOf(undefined, { api: { apiKey: given.apiKey } });
const market = markets[0].address;
const hash = await ipfs.pin(given.definition);
tell('balance', await api.credits.balance());
const listed = await api.jobs.list({ ipfsHash: hash, market, timeout: 3600 });
tell('listed', listed);
tell('paid', await api.credits.balance());
tell('on the chain', await jobs.get(listed.job));
const done = await until(async () => {
  const found = await api.jobs.get(listed.job);
  return found.state === 2 && found.ipfsResult && found;
}, 60);
tell('done', done);
tell('settled', await api.credits.balance());

const endless = await ipfs.pin(given.endless);
const second = await api.jobs.list({ ipfsHash: endless, market, timeout: 3600 });
await until(async () => (await jobs.get(second.job)).state === 1, 60);

// A job of an account's is spoken to with a signature of its project

const { node, project } = await jobs.get(second.job);
const place = (ident) => given.network.tunnel.replace('{id}', ident);
const header = `${second.job}:${await api.auth.signMessage(second.job, { includeTime: true })}`;
tell('signed', { header, project });
const ops = await until(async () => {
  const answer = await fetch(`${place(node)}/job/${second.job}/ops`, { headers: { authorization: header } });
  return answer.ok && answer.json();
});
tell('spoken', ops);
tell('services', getJobExposedServices(given.endless, second.job));
tell('extended', await api.jobs.extend({ address: second.job, seconds: 3600 }));
tell('timeout', (await jobs.get(second.job)).timeout);
tell('stopped', await api.jobs.stop(second.job));
await refused('unknown key', async () =>
  (await clientOf(undefined, { api: { apiKey: 'nos_wrong' } })).api.credits.balance());
await refused('no such job', () => api.jobs.stop(market));

// Authorization strings, both ways

const { authorization } = await clientOf('owner');
const key = (await person('owner')).address;
tell('generated', {
  plain: await authorization.generate(given.message),
  timed: await authorization.generate(given.message, { includeTime: true }),
  headers: (await authorization.generateHeaders(given.message)).get('authorization'),
});
const publicKey = Uint8Array.from(given.publicKey);
const judge = (text, options) => {
  try {
    return authorization.validate(text, publicKey, options);
  } catch (error) {
    return error.message;
  }
};
tell('judged', given.strings.map(({ text, options }) => judge(text, options)));
tell('key', key);

// A file

writeFileSync(given.file, given.content);
const cid = await ipfs.pinFile(given.file);
tell('file', { cid, read: await ipfs.retrieve(cid) });
await refused('no pin', async () => {
  const found = await ipfs.retrieve('QmNLei78zWmzUdbeRB3CiUfAizWUrbeeZh5K1rhAQKCh51');
  throw new Error(`an answer: ${JSON.stringify(found)}`);
});
process.exit(0);
