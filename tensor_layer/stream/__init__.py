"""The tensor stream processor: keeps, packs and moves tensors cheaply.

`processor` is the pipeline. A `Tensor` (`tensor`) is packed chunk by chunk into frames (`frames`, `writer`, `reader`)
with the codec that its own bytes ask for (`choice`, `codecs`; made of `planes`, `exponents`, `sparse`, `narrow`,
`bits`, `shuffle`, `huffman`, `lossy`), kept by content in memory (`cache`) and in memory-mapped files (`mapped_files`
over `tensor_files` and `shared_folder`; both levels evict by `s3fifo`), fetched before it is asked for when that pays
(`prefetch`, `markov`, `gru`, `contest`), and passed to other processes by reference (`handoff`). `interchange` speaks
Arrow, safetensors and .npy.
"""
