// Ids that do not hang on the folder of the checkout: two builds are the same, byte for byte.
module.exports = { optimization: { moduleIds: 'natural', chunkIds: 'natural' } };
