// @solana/kit as a plain RPC client of the ledger; which one, the test says.
import { zstdDecompressSync } from 'node:zlib';

import { given, refused, tell } from './stranger.mjs';

const kit = await import(given.kit);
const {
  AccountRole, address, airdropFactory, appendTransactionMessageInstructions,
  compileTransactionMessage, compressTransactionMessageUsingAddressLookupTables,
  createKeyPairSignerFromBytes, createSolanaRpc, createSolanaRpcSubscriptions,
  createTransactionMessage, fetchAddressesForLookupTables, generateKeyPairSigner,
  getAddressEncoder, getBase64Decoder, getBase64EncodedWireTransaction,
  getCompiledTransactionMessageEncoder, getProgramDerivedAddress, getSignatureFromTransaction,
  lamports, pipe, sendAndConfirmTransactionFactory, setTransactionMessageFeePayerSigner,
  setTransactionMessageLifetimeUsingBlockhash, signTransactionMessageWithSigners,
} = kit;

const { network } = given;
const rpc = createSolanaRpc(network.rpc);
const subscriptions = createSolanaRpcSubscriptions(network.websocket);
const sendAndConfirm = sendAndConfirmTransactionFactory({ rpc, rpcSubscriptions: subscriptions });
const payer = await createKeyPairSignerFromBytes(Uint8Array.from(given.keys.payer));
const SYSTEM = address('11111111111111111111111111111111');
const TOKEN = address('TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA');
const TABLES = address('AddressLookupTab1e1111111111111111111111111');
const { READONLY, WRITABLE, READONLY_SIGNER, WRITABLE_SIGNER } = AccountRole;
const ATA = address('ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL');

function u(number, bytes) {
  const data = new Uint8Array(bytes);
  for (let i = 0, left = BigInt(number); i < bytes; i++, left >>= 8n) data[i] = Number(left & 255n);
  return data;
}
const bytes = (...parts) => Uint8Array.from(parts.flatMap((each) => [...each]));

const transfer = (to, amount, from = payer) => ({
  programAddress: SYSTEM,
  accounts: [{ address: from.address, role: WRITABLE_SIGNER, signer: from }, { address: to, role: WRITABLE }],
  data: bytes(u(2, 4), u(amount, 8)),
});

async function signed(instructions, { blockhash, tables, version = 0 } = {}) {
  const latest = blockhash ?? (await rpc.getLatestBlockhash().send()).value;
  let message = pipe(
    createTransactionMessage({ version }),
    (m) => setTransactionMessageFeePayerSigner(payer, m),
    (m) => setTransactionMessageLifetimeUsingBlockhash(latest, m),
    (m) => appendTransactionMessageInstructions(instructions, m),
  );
  if (tables) message = compressTransactionMessageUsingAddressLookupTables(message, tables);
  return { message, transaction: await signTransactionMessageWithSigners(message) };
}

async function land(instructions, more) {
  const { transaction } = await signed(instructions, more);
  await sendAndConfirm(transaction, { commitment: 'confirmed' });
  return getSignatureFromTransaction(transaction);
}

const first = async (subscription, signal) => {
  for await (const each of await subscription.subscribe({ abortSignal: signal })) return each;
};

// What there is

tell('node', {
  health: await rpc.getHealth().send(), version: await rpc.getVersion().send(),
  genesis: await rpc.getGenesisHash().send(), epoch: await rpc.getEpochInfo().send(),
  slot: await rpc.getSlot().send(), height: await rpc.getBlockHeight().send(),
  count: await rpc.getTransactionCount().send(),
  rent: await rpc.getMinimumBalanceForRentExemption(165n).send(),
  fees: await rpc.getRecentPrioritizationFees([payer.address]).send(),
  supply: await rpc.getTokenSupply(address(network.programs.mint)).send(),
});

// SOL

const friend = (await generateKeyPairSigner()).address;
const airdrop = airdropFactory({ rpc, rpcSubscriptions: subscriptions });
tell('airdrop', await airdrop({
  recipientAddress: friend, lamports: lamports(3_000_000_000n), commitment: 'confirmed',
}));

const abort = new AbortController();
const heard = {};
const hears = {
  account: first(subscriptions.accountNotifications(friend, { encoding: 'base64' }), abort.signal),
  logs: first(subscriptions.logsNotifications({ mentions: [friend] }), abort.signal),
  slot: first(subscriptions.slotNotifications(), abort.signal),
  root: first(subscriptions.rootNotifications(), abort.signal),
  program: first(
    subscriptions.programNotifications(TOKEN, { encoding: 'jsonParsed', filters: [{ dataSize: 165n }] }),
    abort.signal,
  ),
};
heard.slot = await hears.slot; // All are heard by then: they were asked for before.
const sent = await land([transfer(friend, 1_000_000_000n)]);
tell('sent', { friend, sent, balance: (await rpc.getBalance(friend).send()).value });
tell('legacy', await land([transfer(friend, 5n)], { version: 'legacy' }));
const statuses = (await rpc.getSignatureStatuses([sent]).send()).value;
tell('status', statuses);

for (const encoding of ['json', 'jsonParsed', 'base64', 'base58']) {
  const found = await rpc
    .getTransaction(sent, { encoding, maxSupportedTransactionVersion: 0, commitment: 'confirmed' })
    .send();
  tell(`transaction ${encoding}`, found);
}
tell('history', await rpc.getSignaturesForAddress(friend, { limit: 3 }).send());

// Blocks

const { slot } = statuses[0];
for (const transactionDetails of ['full', 'accounts', 'signatures', 'none']) {
  const block = await rpc
    .getBlock(slot, { transactionDetails, maxSupportedTransactionVersion: 0, rewards: false })
    .send();
  tell(`block ${transactionDetails}`, block);
}
tell('blocks', {
  range: await rpc.getBlocks(slot - 1n, slot).send(),
  limited: await rpc.getBlocksWithLimit(slot, 1).send(),
  time: await rpc.getBlockTime(slot).send(),
  first: await rpc.getFirstAvailableBlock().send(),
});
await refused('no block', () => rpc.getBlock(slot + 10_000n, { maxSupportedTransactionVersion: 0 }).send());

// Tokens

const ata = async (owner) =>
  (
    await getProgramDerivedAddress({
      programAddress: ATA,
      seeds: [owner, TOKEN, address(network.programs.mint)].map((each) => getAddressEncoder().encode(each)),
    })
  )[0];
const [mine, theirs] = await Promise.all([payer.address, friend].map(ata));
const openAta = {
  programAddress: ATA,
  accounts: [
    { address: payer.address, role: WRITABLE_SIGNER, signer: payer }, { address: theirs, role: WRITABLE },
    { address: friend, role: READONLY }, { address: address(network.programs.mint), role: READONLY },
    { address: SYSTEM, role: READONLY }, { address: TOKEN, role: READONLY },
  ],
  data: Uint8Array.from([1]),
};
const pay = (amount) => ({
  programAddress: TOKEN,
  accounts: [
    { address: mine, role: WRITABLE }, { address: theirs, role: WRITABLE },
    { address: payer.address, role: READONLY_SIGNER, signer: payer },
  ],
  data: bytes([3], u(amount, 8)),
});
await land([openAta, pay(1_500_000n)]);
tell('tokens', {
  balance: (await rpc.getTokenAccountBalance(theirs).send()).value,
  owned: (
    await rpc.getTokenAccountsByOwner(friend, { programId: TOKEN }, { encoding: 'jsonParsed' }).send()
  ).value,
  sliced: await rpc
    .getProgramAccounts(TOKEN, {
      encoding: 'base64', dataSlice: { offset: 64, length: 8 },
      filters: [{ dataSize: 165n }, { memcmp: { offset: 32n, bytes: friend, encoding: 'base58' } }],
    })
    .send(),
  largest: (await rpc.getTokenLargestAccounts(address(network.programs.mint)).send()).value,
});

// Compression

const zipped = (await rpc.getAccountInfo(theirs, { encoding: 'base64+zstd' }).send()).value.data;
const plain = (await rpc.getAccountInfo(theirs, { encoding: 'base64' }).send()).value.data;
tell('zstd', {
  label: zipped[1],
  same: zstdDecompressSync(Buffer.from(zipped[0], 'base64')).toString('base64') === plain[0],
});
tell('several', (await rpc.getMultipleAccounts([theirs, (await generateKeyPairSigner()).address]).send()).value.length);

// Simulation and refusals

const { transaction: tried, message } = await signed([pay(1n)]);
const wire = getBase64EncodedWireTransaction(tried);
tell('simulated', (
  await rpc
    .simulateTransaction(wire, {
      encoding: 'base64', sigVerify: true, innerInstructions: true,
      accounts: { addresses: [theirs], encoding: 'base64' },
    })
    .send()
).value);
const feeOf = async (each) =>
  (await rpc.getFeeForMessage(getBase64Decoder().decode(
    getCompiledTransactionMessageEncoder().encode(compileTransactionMessage(each)),
  )).send()).value;
const gone = { blockhash: '4sGjMW1sUnHzSxGspuhpqLDx6wiyjNtZAMdL4VZHirAn', lastValidBlockHeight: 10n ** 12n };
const late = await signed([transfer(friend, 1n)], { blockhash: gone });
tell('fee', { now: await feeOf(message), late: await feeOf(late.message) });
await refused('custom', () => land([pay(10n ** 15n)]));
await refused('too poor', async () => land([transfer(friend, 10n ** 15n)]));
await refused('blockhash', () =>
  rpc.sendTransaction(getBase64EncodedWireTransaction(late.transaction), { encoding: 'base64' }).send());
await refused('twice', async () => {
  const { transaction } = await signed([transfer(friend, 7n)]);
  for (let i = 0; i < 2; i++)
    await rpc.sendTransaction(getBase64EncodedWireTransaction(transaction), { encoding: 'base64' }).send();
});
await refused('no payer', async () => {
  const nobody = await generateKeyPairSigner();
  const latest = (await rpc.getLatestBlockhash().send()).value;
  const transaction = await signTransactionMessageWithSigners(
    pipe(
      createTransactionMessage({ version: 0 }),
      (m) => setTransactionMessageFeePayerSigner(nobody, m),
      (m) => setTransactionMessageLifetimeUsingBlockhash(latest, m),
    ),
  );
  await rpc.sendTransaction(getBase64EncodedWireTransaction(transaction), { encoding: 'base64' }).send();
});
await refused('no method', () => rpc.getVoteAccounts().send());

// Address lookup tables

const recent = await rpc.getSlot({ commitment: 'finalized' }).send();
const [table, bump] = await getProgramDerivedAddress({
  programAddress: TABLES, seeds: [getAddressEncoder().encode(payer.address), u(recent, 8)],
});
const owner = { address: payer.address, role: WRITABLE_SIGNER, signer: payer };
await land([
  {
    programAddress: TABLES,
    accounts: [
      { address: table, role: WRITABLE }, { address: payer.address, role: READONLY_SIGNER, signer: payer }, owner,
      { address: SYSTEM, role: READONLY },
    ],
    data: bytes(u(0, 4), u(recent, 8), [bump]),
  },
]);
const many = await Promise.all(Array.from({ length: 20 }, async () => (await generateKeyPairSigner()).address));
await land([
  {
    programAddress: TABLES,
    accounts: [
      { address: table, role: WRITABLE }, { address: payer.address, role: READONLY_SIGNER, signer: payer }, owner,
      { address: SYSTEM, role: READONLY },
    ],
    data: bytes(u(2, 4), u(many.length, 8), ...many.map((each) => getAddressEncoder().encode(each))),
  },
]);
const tables = await fetchAddressesForLookupTables([table], rpc);
await new Promise((go) => setTimeout(go, 500)); // A table serves from the next slot on.
const wide = many.map((each) => transfer(each, 1_000_000n));
const spread = await land(wide, { tables });
const far = await rpc.getTransaction(spread, { encoding: 'json', maxSupportedTransactionVersion: 0 }).send();
tell('table', {
  listed: tables[table].length, table, many, spread,
  balances: (await Promise.all(many.map((each) => rpc.getBalance(each).send()))).map((each) => each.value),
  loaded: far.meta.loadedAddresses, lookups: far.transaction.message.addressTableLookups,
  pre: far.meta.preBalances.length, keys: far.transaction.message.accountKeys.length,
  found: (await rpc.getSignaturesForAddress(many[3]).send()).map((each) => each.signature),
});

for (const name of ['account', 'logs', 'program', 'root']) heard[name] = await hears[name];
tell('heard', heard);
abort.abort();
process.exit(0);
