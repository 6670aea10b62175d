// A stake from its first token to its last, and what tokens and SOL a wallet has.
import { StakingClient } from '@nosana/kit';
import { generateKeyPairSigner } from '@solana/kit';

import { clientOf, nextBlock, staked, stakeFor } from './client.mjs';
import { refused, tell } from './stranger.mjs';

const owner = await clientOf('owner');
const { solana, nos, stake } = owner;
const accounts = await staked(owner);
const day = 86_400n;
const read = () => stake.get(accounts.stake);
const send = (instruction) => solana.buildSignAndSend(instruction);

tell('before', { sol: await solana.getBalance(), nos: await nos.getBalance() });
await refused('too short', () => stakeFor(owner, { amount: 5_000_000n, duration: day }));
await stakeFor(owner, { amount: 5_000_000n, duration: 14n * day });
tell('staked', await read());
await send(StakingClient.getTopupInstruction({ ...accounts, amount: 1_000_000n }));
tell('topped up', await read());
await send(StakingClient.getExtendInstruction({ ...accounts, duration: 100n * day }));
tell('extended', await read());
await send(StakingClient.getUnstakeInstruction(accounts));
tell('unstaked', await read());
await send(StakingClient.getRestakeInstruction(accounts));
tell('restaked', await read());
await nextBlock(owner); // The same again, with the same blockhash, would be the same transaction.
await send(StakingClient.getUnstakeInstruction(accounts));
await send(StakingClient.getWithdrawInstruction(accounts));
tell('withdrawn', { nos: await nos.getBalance() });
await refused('too early', () => send(StakingClient.getCloseInstruction(accounts)));

// Only one may slash, to one place

const settings = await solana.pda(['settings'], owner.config.programs.stakeAddress);
const rights = await StakingClient.fetchSettingsAccount(solana.rpc, settings);
tell('settings', rights.data);
const slash = (tokenAccount) => send(StakingClient.getSlashInstruction({
  ...accounts, settings, tokenAccount, amount: 1n,
}));
await refused('not the authority', () => slash(rights.data.tokenAccount));
await refused('to oneself', () => slash(accounts.user));
tell('unslashed', await read());
tell('all', (await stake.all()).map((each) => each.address));
tell('stake', accounts.stake);

// Tokens and SOL

const friend = (await generateKeyPairSigner()).address;
tell('nobody', { sol: await solana.getBalance(friend), nos: await nos.getBalance(friend) });
await solana.buildSignAndSend([
  await solana.transfer({ to: friend, amount: 2_000_000 }),
  ...(await nos.transfer({ to: friend, amount: 250_000 })),
]);
await solana.buildSignAndSend(await nos.transfer({ to: friend, amount: 250_000 }));
tell('friend', {
  address: friend,
  sol: await solana.getBalance(friend),
  nos: await nos.getBalance(friend),
  account: await nos.getTokenAccountForAddress(friend),
});
const holders = await nos.getAllTokenHolders({ excludePdaAccounts: true });
tell('holders', holders.filter((each) => [friend, owner.wallet.address].includes(each.owner)));
await refused('too much', async () =>
  solana.buildSignAndSend(await nos.transfer({ to: friend, amount: 10 ** 15 })));

// A limit of compute units by simulation, and one who pays for another

tell('measured', await solana.buildSignAndSend(
  await solana.transfer({ to: friend, amount: 5000 }), { estimateComputeUnits: true },
));
const payer = (await clientOf('payer')).wallet;
const was = await solana.getBalance();
await solana.buildSignAndSend(
  await solana.transfer({ to: friend, amount: 5000 }), { feePayer: payer },
);
tell('paid by another', was - (await solana.getBalance()));
const partly = await solana.partiallySignTransaction(
  await solana.buildTransaction(await solana.transfer({ to: friend, amount: 77 }), { feePayer: payer.address }),
);
const carried = await solana.deserializeTransaction(solana.serializeTransaction(partly));
tell('carried', await solana.sendTransaction(
  await solana.signTransactionWithSigners(carried, [payer]),
));
process.exit(0);
