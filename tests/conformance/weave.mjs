// Transactions as the official client of Arweave makes and signs them.

import Arweave from 'arweave'

const parts_in = []
for await (const part of process.stdin) parts_in.push(part)
const asked = JSON.parse(Buffer.concat(parts_in).toString())
const weave = Arweave.init({})
const key = await weave.wallets.generate()
const made = []
for (const size of asked.sizes) {
  const data = new Uint8Array(size).map((_, at) => (at * 7 + (at >> 8)) & 255)
  const sent = await weave.createTransaction(
    { data, last_tx: Buffer.alloc(48).toString('base64url'), reward: '1' }, key)
  sent.addTag('Content-Type', 'application/octet-stream')
  await weave.transactions.sign(sent, key)
  const { data: _, ...head } = sent.toJSON()
  made.push({ id: sent.id, size, head })
}
console.log(JSON.stringify({ name: 'made', value: made }))
