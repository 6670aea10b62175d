// The jobs program, from a market's opening to its closing, as poster and as host.
import { JobState, JobsClient, StakingClient } from '@nosana/kit';
import { generateKeyPairSigner } from '@solana/kit';

import { clientOf, nextBlock, staked, stakeFor } from './client.mjs';
import { given, refused, tell, until } from './stranger.mjs';

const poster = await clientOf('poster');
const host = await clientOf('host');
const { jobs, ipfs } = poster;

const heard = [];
async function hear(kind) {
  const [events, stop] = await jobs[kind]();
  const listening = (async () => {
    for await (const { type, data } of events) heard.push({ kind, type, data });
  })();
  return { stop, listening };
}
const monitors = await Promise.all(['monitor', 'monitorDetailed'].map(hear));

// Markets

const listed = await jobs.markets();
tell('markets', listed.map(({ address, jobPrice, queueType }) => ({ address, jobPrice, queueType })));
tell('market', await jobs.market(given.market));

const opening = await jobs.createMarket({
  jobPrice: 100, jobTimeout: 3600, jobExpiration: 0, nodeStakeMinimum: 0,
});
const market = opening.accounts[1].address;
tell('opened', { market, signature: await poster.solana.buildSignAndSend(opening) });
tell('fresh', await jobs.market(market));

// Posting, and what becomes of a job that waits

const hash = await ipfs.pin(given.definition);
tell('pinned', { hash, read: await ipfs.retrieve(hash) });

async function post(more = {}) {
  const instruction = await jobs.post({ market, timeout: 600, ipfsHash: hash, ...more });
  const [job] = instruction.accounts;
  const signature = await poster.solana.buildSignAndSend(instruction);
  return { job: job.address, signature };
}

const first = await post();
tell('posted', first);
tell('waiting', await jobs.get(first.job));
tell('queue', await jobs.market(market));
await poster.solana.buildSignAndSend(await jobs.extend({ job: first.job, timeout: 60 }));
tell('extended', await jobs.get(first.job));
const second = await post();
await poster.solana.buildSignAndSend(await jobs.delist({ job: second.job }));
await refused('delisted', () => jobs.get(second.job));

// The other side: a host

await stakeFor(host, { amount: 1_000_000n, duration: 14n * 86_400n });
const queue = async () => (await jobs.market(market)).queue;
await host.solana.buildSignAndSend(await host.jobs.work({ market }));
const [run] = await jobs.runs({ job: first.job });
tell('run', run);
tell('claimed', await jobs.get(first.job));
tell('filtered', {
  project: (await jobs.all({ project: poster.wallet.address })).map((each) => each.address),
  market: (await jobs.all({ market, state: JobState.QUEUED }, true)).map((each) => each.state),
  node: (await jobs.runs({ node: host.wallet.address })).map((each) => each.job),
});
const result = await ipfs.pin(given.result);
await host.solana.buildSignAndSend(
  await host.jobs.finish({ job: first.job, ipfsResultsHash: result }),
);
const done = await jobs.get(first.job);
tell('finished', { ...done, read: await ipfs.retrieve(done.ipfsResult) });

// A host that waits gets the next job; it may leave again

await host.solana.buildSignAndSend(await host.jobs.work({ market }));
tell('host waits', await jobs.market(market));
await host.solana.buildSignAndSend(await host.jobs.stop({ market }));
tell('host left', await queue());
await host.solana.buildSignAndSend(await host.jobs.work({ market }));
const assigned = await post({ node: host.wallet.address });
tell('assigned', await jobs.get(assigned.job));

// A host that gives up: the job is claimed again, or the deposit recovered

const giveUp = async (job) => {
  const [found] = await jobs.runs({ job });
  await host.solana.buildSignAndSend(await host.jobs.quit({ run: found.address }));
};
await giveUp(assigned.job);
tell('quit', await jobs.get(assigned.job));
const config = { programAddress: poster.config.programs.jobsAddress };
const ata = await host.nos.getATA(host.wallet.address);
const again = await generateKeyPairSigner();
await host.solana.buildSignAndSend(
  JobsClient.getClaimInstruction(
    {
      job: assigned.job, run: again, market, payer: host.wallet, authority: host.wallet, nft: ata,
      metadata: '11111111111111111111111111111111',
      stake: (await staked(host)).stake,
    },
    config,
  ),
);
tell('claimed again', (await jobs.runs({ job: assigned.job })).map((each) => each.address === again.address));
await giveUp(assigned.job);
const { vault } = await jobs.market(market);
await poster.solana.buildSignAndSend(
  JobsClient.getRecoverInstruction(
    {
      job: assigned.job, market, vault, payer: poster.wallet.address, authority: poster.wallet,
      user: await poster.nos.getATA(poster.wallet.address),
    },
    config,
  ),
);
await refused('recovered', () => jobs.get(assigned.job));

// A poster that ends, a host that hands in afterwards, and a stranger who cleans up

await host.solana.buildSignAndSend(await host.jobs.work({ market }));
const ended = await post();
await poster.solana.buildSignAndSend(await jobs.end({ job: ended.job }));
tell('ended', await jobs.get(ended.job));
await host.solana.buildSignAndSend(
  await host.jobs.complete({ job: ended.job, ipfsResultsHash: result }),
);
tell('completed', await jobs.get(ended.job));

// Refusals, by name

const stranger = await clientOf('stranger');
const theirs = await post();
await refused('not theirs', async () =>
  stranger.solana.buildSignAndSend(await stranger.jobs.delist({ job: theirs.job })));
await refused('too poor', () => post({ timeout: 10 ** 9 }));
await refused('no stake', async () =>
  stranger.solana.buildSignAndSend(await stranger.jobs.work({ market })));

// A stake that is too little, enough, and being taken out

const strict = await jobs.createMarket({ jobPrice: 7, nodeStakeMinimum: 2_000_000 });
const guarded = strict.accounts[1].address;
await poster.solana.buildSignAndSend(strict);
// What is signed with the same blockhash twice is one transaction.
const sendAnew = async (made) => {
  await nextBlock(host);
  return host.solana.buildSignAndSend(await made());
};
const offer = () => sendAnew(() => host.jobs.work({ market: guarded }));
const leave = () => sendAnew(() => host.jobs.stop({ market: guarded }));
const guardedQueue = async () => (await jobs.market(guarded)).queue;
const own = await staked(host);
await refused('too little stake', offer);
await host.solana.buildSignAndSend(StakingClient.getTopupInstruction({ ...own, amount: 1_000_000n }));
await offer();
await host.solana.buildSignAndSend(StakingClient.getUnstakeInstruction(own));
tell('still waits', await guardedQueue());
await leave();
await refused('stake on its way out', offer);
await host.solana.buildSignAndSend(StakingClient.getRestakeInstruction(own));
await offer();
tell('waits again', await guardedQueue());
await leave();
tell('left', theirs);
await poster.solana.buildSignAndSend(await jobs.delist({ job: theirs.job }));

// Who cleans gets nothing; the payer gets the rent

await until(async () => Math.floor(Date.now() / 1000) > (await jobs.get(ended.job)).timeEnd + 1);
await stranger.solana.buildSignAndSend(
  JobsClient.getCleanInstruction({ job: ended.job, market, payer: poster.wallet.address }, config),
);
await refused('cleaned', () => jobs.get(ended.job));
await poster.solana.buildSignAndSend(await jobs.close({ market, vault }));
await refused('closed', () => jobs.market(market));

await until(() => heard.some((each) => each.kind === 'monitorDetailed' && each.data.address === theirs.job));
for (const { stop } of monitors) stop();
tell('heard', heard.map(({ kind, type, data }) => ({ kind, type, ...data })));

// What is left for the other client to read: a job in each state, in a market of their own

const another = await jobs.createMarket({ jobPrice: 7, nodeStakeMinimum: 5 });
const kept = another.accounts[1].address;
await poster.solana.buildSignAndSend(another);
const post2 = (timeout) => post({ market: kept, timeout });
const work = async () => host.solana.buildSignAndSend(await host.jobs.work({ market: kept }));
await work();
const over = await post2(61);
await host.solana.buildSignAndSend(
  await host.jobs.finish({ job: over.job, ipfsResultsHash: result }),
);
await work();
const stopped = await post2(62);
await giveUp(stopped.job);
await work();
const running = await post2(63);
const waits = await post2(64);
tell('kept', {
  market: await jobs.market(kept),
  jobs: await Promise.all([over, stopped, running, waits].map((each) => jobs.get(each.job))),
  run: (await jobs.runs({ job: running.job }))[0],
  stake: await host.stake.get((await staked(host)).stake),
});
process.exit(0);
