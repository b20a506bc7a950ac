"""The bus as the composition root sees it: one connection per process, and the streams and buckets it needs."""
