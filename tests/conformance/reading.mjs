// The file that the reference implementation of UnixFS reads from blocks. What they are called is not
// believed: each is kept under the hash that is computed here.

import { MemoryBlockstore } from 'blockstore-core'
import { exporter } from 'ipfs-unixfs-exporter'
import { CID } from 'multiformats/cid'
import { sha256 } from 'multiformats/hashes/sha2'

const given = []
for await (const part of process.stdin) given.push(part)
const asked = JSON.parse(Buffer.concat(given).toString())
const store = new MemoryBlockstore()
for (const [text, block] of Object.entries(asked.blocks)) {
  const bytes = Buffer.from(block, 'base64')
  await store.put(CID.createV1(CID.parse(text).code, await sha256.digest(bytes)), bytes)
}
const entry = await exporter(asked.root, store)
const found = []
for await (const part of entry.content()) found.push(part)
console.log(JSON.stringify({ name: 'body', value: Buffer.concat(found).toString('base64') }))
