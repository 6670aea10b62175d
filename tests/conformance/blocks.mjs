// What the reference implementation of UnixFS makes of files: the blocks, and the id on top.

import { MemoryBlockstore } from 'blockstore-core'
import { importer } from 'ipfs-unixfs-importer'
import { balanced } from 'ipfs-unixfs-importer/layout'
import { fixedSize } from 'ipfs-unixfs-importer/chunker'
import { base32 } from 'multiformats/bases/base32'

const parts_in = []
for await (const part of process.stdin) parts_in.push(part)
const asked = JSON.parse(Buffer.concat(parts_in).toString())
const store = new MemoryBlockstore()
const source = asked.files.map(({ path, body }) => ({ path, content: Buffer.from(body, 'base64') }))
let root
for await (const entry of importer(source, store, {
  cidVersion: asked.version,
  rawLeaves: asked.raw,
  wrapWithDirectory: asked.files.length > 1,
  shardSplitThresholdBytes: asked.shard ? 1 : 262144,
  chunker: fixedSize({ chunkSize: asked.chunk }),
  layout: balanced({ maxChildrenPerNode: asked.links }),
})) root = entry.cid

const blocks = {}
for await (const { cid, bytes } of store.getAll()) {
  const parts = []
  for await (const part of bytes instanceof Uint8Array ? [bytes] : bytes) parts.push(part)
  blocks[cid.toV1().toString(base32)] = Buffer.concat(parts).toString('base64')
}
console.log(JSON.stringify({ name: 'root', value: root.toString() }))
console.log(JSON.stringify({ name: 'blocks', value: blocks }))
