/**
 * libuv's threads do all file work: writes and syncs of every node, LevelDB's batches and reads. Four of them, the default, would
 * make six nodes wait for each other's fsync. Must be imported before anything uses the pool.
 */
process.env['UV_THREADPOOL_SIZE'] ??= '24';
