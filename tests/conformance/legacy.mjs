// `@solana/web3.js` and `@solana/spl-token`, which most programs still use, on the ledger.
import {
  AddressLookupTableProgram, ComputeBudgetProgram, Connection, Keypair, LAMPORTS_PER_SOL, PublicKey,
  SystemProgram, Transaction, TransactionMessage, VersionedTransaction, sendAndConfirmTransaction,
} from '@solana/web3.js';
import {
  approve, burn, closeAccount, createMint, getAccount, getMint, getOrCreateAssociatedTokenAccount,
  mintTo, transfer,
} from '@solana/spl-token';

import { given, tell } from './stranger.mjs';

const { network } = given;
const connection = new Connection(network.rpc, { commitment: 'confirmed', wsEndpoint: network.websocket });
const payer = Keypair.fromSecretKey(Uint8Array.from(given.keys.payer));
const friend = Keypair.generate();

async function why(name, doing) {
  try {
    await doing();
    tell(name, { message: 'it went well' });
  } catch (error) {
    tell(name, { kind: error.constructor.name, message: error.message, logs: error.logs ?? [] });
  }
}

tell('version', await connection.getVersion());
const heard = { account: [], logs: [], slots: [] };
connection.onAccountChange(friend.publicKey, (info) => heard.account.push(info.lamports));
connection.onLogs(friend.publicKey, (logs) => heard.logs.push(logs.signature));
connection.onSlotChange((slot) => heard.slots.push(slot.slot));

// SOL

const drop = await connection.requestAirdrop(friend.publicKey, 2 * LAMPORTS_PER_SOL);
await connection.confirmTransaction({ signature: drop, ...(await connection.getLatestBlockhash()) });
const send = new Transaction().add(
  ComputeBudgetProgram.setComputeUnitPrice({ microLamports: 1000 }),
  SystemProgram.transfer({ fromPubkey: payer.publicKey, toPubkey: friend.publicKey, lamports: LAMPORTS_PER_SOL }),
);
const sent = await sendAndConfirmTransaction(connection, send, [payer]);
tell('sent', { sent, drop, balance: await connection.getBalance(friend.publicKey) });
const parsed = await connection.getParsedTransaction(sent, { maxSupportedTransactionVersion: 0 });
tell('parsed', { fee: parsed.meta.fee, signer: parsed.transaction.message.accountKeys[0].signer });
const { slot } = await connection.getSignatureStatus(sent).then((found) => found.value);
const block = await connection.getBlock(slot, { maxSupportedTransactionVersion: 0 });
tell('block', block.transactions.some((each) => each.transaction.signatures.includes(sent)));
tell('signatures', (await connection.getBlockSignatures(slot)).signatures.includes(sent));

// Tokens of its own

const mint = await createMint(connection, payer, payer.publicKey, null, 3);
const mine = await getOrCreateAssociatedTokenAccount(connection, payer, mint, payer.publicKey);
const theirs = await getOrCreateAssociatedTokenAccount(connection, payer, mint, friend.publicKey);
await mintTo(connection, payer, mint, mine.address, payer, 1000n);
await transfer(connection, payer, mine.address, theirs.address, payer, 250n);
await burn(connection, payer, mine.address, mint, payer, 50n);
await approve(connection, payer, mine.address, friend.publicKey, payer, 10n);
const held = await getAccount(connection, mine.address);
tell('tokens', {
  supply: (await getMint(connection, mint)).supply,
  mine: held.amount, delegate: held.delegate.toBase58() === friend.publicKey.toBase58(),
  theirs: (await connection.getTokenAccountBalance(theirs.address)).value.uiAmount,
  owned: (await connection.getParsedTokenAccountsByOwner(friend.publicKey, { mint })).value.length,
  holders: (await connection.getTokenLargestAccounts(mint)).value.map((each) => each.amount),
});
await why('too many tokens', () => transfer(connection, payer, mine.address, theirs.address, payer, 10_000n));
await why('not empty', () => closeAccount(connection, payer, mine.address, payer.publicKey, payer));

// A version 0 transaction with a table

const recent = await connection.getSlot();
const [create, table] = AddressLookupTableProgram.createLookupTable({
  authority: payer.publicKey, payer: payer.publicKey, recentSlot: recent,
});
const listed = Array.from({ length: 3 }, () => Keypair.generate().publicKey);
await sendAndConfirmTransaction(
  connection,
  new Transaction().add(create, AddressLookupTableProgram.extendLookupTable({
    lookupTable: table, authority: payer.publicKey, payer: payer.publicKey, addresses: listed,
  })),
  [payer],
);
await new Promise((go) => setTimeout(go, 600));
const known = (await connection.getAddressLookupTable(table)).value;
const latest = await connection.getLatestBlockhash();
const message = new TransactionMessage({
  payerKey: payer.publicKey, recentBlockhash: latest.blockhash,
  instructions: listed.map((toPubkey) =>
    SystemProgram.transfer({ fromPubkey: payer.publicKey, toPubkey, lamports: 1_000_000 })),
}).compileToV0Message([known]);
const looked = new VersionedTransaction(message);
looked.sign([payer]);
tell('simulated', (await connection.simulateTransaction(looked)).value.err);
const signature = await connection.sendTransaction(looked);
await connection.confirmTransaction({ signature, ...latest });
tell('looked up', {
  listed: known.state.addresses.length, places: message.addressTableLookups[0].writableIndexes.length,
  paid: await connection.getBalance(new PublicKey(listed[2])),
});

for (let i = 0; i < 50 && !(heard.account.length && heard.logs.length && heard.slots.length > 2); i++)
  await new Promise((go) => setTimeout(go, 100));
tell('heard', heard);
process.exit(0);
