// Waiting with a bound: the one place where a promise races a timer. The timer never outlives what it bounds.

/** What `work` gives or throws. @throws what `late` makes when it takes longer than `ms`; the work itself goes on unheard. */
export async function within<T>(ms: number, work: T | Promise<T>, late: () => Error): Promise<T> {
  const { promise: bound, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(late()), ms);
  try {
    return await Promise.race([work, bound]);
  } finally {
    clearTimeout(timer);
  }
}

/** Whether `work` ended, well or not, within `ms`. For a stop that must not wait for ever. */
export async function endsWithin(ms: number, work: Promise<unknown> | undefined): Promise<boolean> {
  const { promise: bound, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), ms);
  const ended = Promise.resolve(work).then(
    () => true,
    () => true,
  );
  try {
    return await Promise.race([ended, bound]);
  } finally {
    clearTimeout(timer);
  }
}
