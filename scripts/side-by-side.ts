/** Runs the tasks in order, at most `atOnce` at a time. Rejects with the first failure, after all have ended. */
export async function sideBySide(tasks: readonly (() => Promise<unknown>)[], atOnce: number): Promise<void> {
  const left = tasks.values();
  const failures: unknown[] = [];
  const lane = async (): Promise<void> => {
    for (const task of left) await task().catch((error: unknown) => failures.push(error));
  };
  await Promise.all(Array.from({ length: Math.max(1, atOnce) }, lane));
  if (failures.length > 0) throw failures[0];
}
