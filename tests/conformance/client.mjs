// A client of the official kit, on the network that the test names.
import { StakingClient, createNosanaClient } from '@nosana/kit';

import { given, person, until } from './stranger.mjs';

/** The kit as anybody has it; only where things are is another's. */
export async function clientOf(name, more = {}) {
  const { network } = given;
  return createNosanaClient('mainnet', {
    solana: { rpcEndpoint: network.rpc, wsEndpoint: network.websocket },
    ipfs: { api: network.pin, gateway: network.gateway, jwt: undefined },
    api: { backend_url: network.api, client_manager_url: network.api, ...more.api },
    wallet: name ? await person(name) : undefined,
    ...more.config,
  });
}

/** The accounts of a wallet's stake. */
export async function staked(client) {
  const { nosTokenAddress: mint, stakeAddress, rewardsAddress } = client.config.programs;
  const owner = client.wallet.address;
  const [stake, vault, reward] = await Promise.all([
    client.solana.pda(['stake', mint, owner], stakeAddress),
    client.solana.pda(['vault', mint, owner], stakeAddress),
    client.solana.pda(['reward', owner], rewardsAddress),
  ]);
  return { mint, stake, vault, reward, user: await client.nos.getATA(owner), authority: client.wallet };
}

/** Stakes for a wallet, as a host must before it may work. */
export async function stakeFor(client, { amount, duration }) {
  const accounts = await staked(client);
  return client.solana.buildSignAndSend(
    StakingClient.getStakeInstruction({ ...accounts, amount, duration }),
  );
}

/** Waits for a new blockhash. */
export async function nextBlock(client) {
  const latest = async () => (await client.solana.rpc.getLatestBlockhash().send()).value.blockhash;
  const was = await latest();
  await until(async () => (await latest()) !== was);
}
