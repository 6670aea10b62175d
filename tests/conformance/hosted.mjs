// Jobs with the kit's own definitions on our host: posted, watched, spoken to, read.
import { JobState, getJobExposedServices } from '@nosana/kit';

import { clientOf } from './client.mjs';
import { given, tell, until } from './stranger.mjs';

const owner = await clientOf('owner');
const { jobs, ipfs, authorization, solana } = owner;
const place = (ident) => given.network.tunnel.replace('{id}', ident);

// What the monitor says, by job

const states = {};
const [events, stop] = await jobs.monitor();
(async () => {
  for await (const { type, data } of events) {
    if (type !== 'job') continue;
    const seen = (states[data.address] ??= []);
    if (seen.at(-1) !== data.state) seen.push(data.state);
  }
})();
const reached = (job, state) => until(() => (states[job] ?? []).includes(state), 120);

async function post({ definition, market, timeout = 300 }) {
  const ipfsHash = await ipfs.pin(definition);
  const instruction = await jobs.post({ market, timeout, ipfsHash });
  await solana.buildSignAndSend(instruction);
  return instruction.accounts[0].address;
}

/** Asks the node that runs a job, as its project. */
async function ask(job, path, { message = job, ...more } = {}) {
  const { node } = await jobs.get(job);
  const headers = await authorization.generateHeaders(message, { includeTime: true });
  const answer = await fetch(`${place(node)}/job/${job}/${path}`, { headers, ...more });
  return { status: answer.status, body: await answer.text() };
}

/** Asks until the answer is a good one: a tunnel may lag behind the chain. */
const asked = (job, path, more) =>
  until(async () => {
    const answer = await ask(job, path, more);
    return answer.status === 200 && answer;
  }, 60);

const over = async (job) => {
  await reached(job, JobState.COMPLETED);
  const done = await jobs.get(job);
  return { job, states: states[job], chain: done, result: await ipfs.retrieve(done.ipfsResult) };
};

const scenes = {
  /** Runs to its end by itself. */
  async batch(scene) {
    return over(await post(scene));
  },

  /** Serves until it is stopped; others may read it before. */
  async service(scene) {
    const job = await post(scene);
    await reached(job, JobState.RUNNING);
    const [{ hash }] = getJobExposedServices(scene.definition, job);
    const page = await until(async () => {
      // A port may be there before anybody listens on it.
      const answer = await fetch(place(hash) + scene.path).catch(() => ({ ok: false }));
      return answer.ok && answer.text();
    }, 90);
    const { node } = await jobs.get(job);
    const ops = await until(async () => {
      const found = JSON.parse((await asked(job, 'ops')).body);
      return (!scene.reader || found[scene.reader] === 'finished') && found;
    }, 90);
    const endpoints = await until(async () => {
      const found = JSON.parse((await asked(job, 'endpoints')).body);
      return found.status === 'ONLINE' && found;
    }, 30);
    const spoken = {
      definition: JSON.parse((await asked(job, 'job-definition')).body),
      stranger: (await fetch(`${place(node)}/job/${job}/endpoints`)).status,
      alive: await (await fetch(`${place(node)}/`)).json(),
    };
    await asked(job, 'stop', { method: 'POST' });
    return { hash, node, page, ops, endpoints, ...spoken, ...(await over(job)) };
  },

  /** Its definition and its result go from hand to hand. */
  async confidential(scene) {
    const job = await post({ ...scene, definition: scene.stub });
    await reached(job, JobState.RUNNING);
    const { ipfsJob: message } = await jobs.get(job);
    const told = await asked(job, 'job-definition', {
      message, method: 'POST', body: JSON.stringify(scene.definition),
    });
    const handed = JSON.parse((await asked(job, 'results', { message })).body);
    return { message, told: told.body, handed, ...(await over(job)) };
  },
};

await Promise.all(
  Object.entries(given.scenes).map(async ([name, scene]) => {
    try {
      tell(name, await scenes[scene.kind](scene));
    } catch (error) {
      tell(name, { failed: `${error.stack}` });
    }
  }),
);
stop();
process.exit(0);
