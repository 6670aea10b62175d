// A job that our client posted, as the kit reads it: account, pins, and every transaction.
import { JobsClient } from '@nosana/kit';
import { decompileTransactionMessage, getCompiledTransactionMessageDecoder, getTransactionDecoder } from '@solana/kit';

import { clientOf } from './client.mjs';
import { given, tell } from './stranger.mjs';

const { jobs, ipfs, solana, config } = await clientOf();
const job = await jobs.get(given.job);
tell('job', job);
tell('definition', await ipfs.retrieve(job.ipfsJob));
tell('result', await ipfs.retrieve(job.ipfsResult));

const names = Object.entries(JobsClient.NosanaJobsInstruction);
const steps = [];
for (const { signature } of (await solana.rpc.getSignaturesForAddress(given.job).send()).reverse()) {
  const found = await solana.rpc
    .getTransaction(signature, { encoding: 'base64', maxSupportedTransactionVersion: 0 })
    .send();
  const { messageBytes } = getTransactionDecoder().decode(Buffer.from(found.transaction[0], 'base64'));
  const message = decompileTransactionMessage(getCompiledTransactionMessageDecoder().decode(messageBytes));
  for (const instruction of message.instructions) {
    if (instruction.programAddress !== config.programs.jobsAddress) continue;
    const kind = JobsClient.identifyNosanaJobsInstruction(instruction);
    const [name] = names.find(([, value]) => value === kind);
    const parsed = JobsClient[`parse${name}Instruction`](instruction);
    steps.push({
      name,
      data: parsed.data,
      accounts: Object.fromEntries(Object.entries(parsed.accounts).map(([key, { address }]) => [key, address])),
    });
  }
}
tell('steps', steps);
process.exit(0);
