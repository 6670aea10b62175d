// The deployment manager: a vault is filled, deployments run from it, and what is left comes back.
import { clientOf } from './client.mjs';
import { given, refused, tell, until } from './stranger.mjs';

const { api } = await clientOf('owner');
const { deployments } = api;
const market = given.market;
const plain = ({ id, name, status, strategy, replicas, timeout, active_revision, active_jobs, endpoints, schedule }) =>
  ({ id, name, status, strategy, replicas, timeout, active_revision, active_jobs, endpoints, schedule });

// A vault

const vault = await deployments.vaults.create();
tell('empty', await vault.getBalance());
await vault.topup({ SOL: 0.2, NOS: 5 });
tell('filled', await vault.getBalance());
tell('vaults', (await deployments.vaults.list()).map((each) => each.address));

// Two replicas, an endpoint before any job runs, and requests to it

const made = await deployments.create({
  name: 'two', market, replicas: 2, timeout: 1, strategy: 'SIMPLE', confidential: false,
  vault: vault.address, job_definition: given.serving,
});
tell('made', plain(made));
await made.start();
await refused('started twice', () => made.start());
const running = await until(async () => {
  const { jobs } = await made.getJobs({ state: 'RUNNING' });
  return jobs.length === 2 && jobs;
}, 60);
tell('running', running);
tell('job', await made.getJob(running[0].job));
tell('answer', await until(async () => {
  const answer = await fetch(made.endpoints[0].url).catch(() => null);
  return answer?.ok && answer.text();
}, 60));

// Changed, revised, and stopped

await made.updateReplicaCount(3);
await until(async () => (await made.getJobs()).total_items === 3, 60);
await made.createRevision(given.other);
tell('revisions', (await made.getRevisions()).revisions.map(({ revision, job_definition }) =>
  ({ revision, command: job_definition.ops[0].args.cmd, of: job_definition.deployment_id })));
tell('header', { header: await made.generateAuthHeader(), vault: vault.address });
await made.stop();
const stopped = await until(async () => {
  const found = await deployments.get(made.id);
  return found.status === 'STOPPED' && found;
}, 60);
tell('stopped', { ...plain(stopped), jobs: (await stopped.getJobs()).jobs.map(({ state }) => state) });
const pages = await stopped.getEvents({ limit: 10, sort_order: 'asc' });
tell('events', [...pages.events, ...(pages.nextPage ? (await pages.nextPage()).events : [])]
  .map(({ type }) => type));

// What cannot be

await refused('no schedule', () => deployments.create({
  name: 'never', market, replicas: 1, timeout: 60, strategy: 'SCHEDULED', vault: vault.address,
  job_definition: given.serving,
}));
const poor = await deployments.create({
  name: 'poor', market, replicas: 1, timeout: 600000, strategy: 'SIMPLE', vault: vault.address,
  job_definition: given.serving,
});
await poor.start();
tell('poor', plain(await until(async () => {
  const found = await deployments.get(poor.id);
  return found.status === 'INSUFFICIENT_FUNDS' && found;
}, 60)));
const cron = await deployments.create({
  name: 'daily', market, replicas: 1, timeout: 60, strategy: 'SCHEDULED', schedule: '0 9 * * *',
  vault: vault.address, job_definition: given.serving,
});
await cron.updateSchedule('30 4 * * 1');
tell('cron', plain(cron));

// All that is left comes back

tell('left', await vault.getBalance());
await vault.withdraw();
tell('withdrawn', await until(async () => {
  const found = await vault.getBalance();
  return found.NOS === 0 && found;
}, 60));
for (const each of [poor, cron]) {
  const found = await deployments.get(each.id);
  if (found.status !== 'DRAFT') await found.stop();
}
const stranger = await clientOf('stranger');
await refused('not theirs', () => stranger.api.deployments.get(made.id));
tell('theirs', (await stranger.api.deployments.list()).total_items);

// An account with credits has no vault, and an hour at least

const paid = (await clientOf(undefined, { api: { apiKey: given.apiKey } })).api.deployments;
const account = await paid.create({
  name: 'paid', market, replicas: 1, timeout: 60, strategy: 'SIMPLE-EXTEND', confidential: false,
  job_definition: given.serving,
});
await account.start();
await until(async () => (await account.getJobs({ state: 'RUNNING' })).jobs.length === 1, 60);
await account.stop();
const ended = await until(async () => {
  const found = await paid.get(account.id);
  return found.status === 'STOPPED' && found;
}, 60);
tell('paid', plain(ended));
await ended.delete();
await refused('deleted', () => paid.get(account.id));
process.exit(0);
