/** A controller that also aborts with other signals. Dispose it to remove its listeners from them. */
class LinkedController extends AbortController implements Disposable {
  readonly #sources: readonly AbortSignal[];
  readonly #follow = ({ target }: Event): void => this.abort((target as AbortSignal).reason);

  constructor(sources: readonly AbortSignal[]) {
    super();
    this.#sources = sources;
    for (const source of sources) source.addEventListener("abort", this.#follow, { once: true });
    const fired = sources.find((source) => source.aborted);
    if (fired !== undefined) this.abort(fired.reason);
  }

  [Symbol.dispose](): void {
    for (const source of this.#sources) source.removeEventListener("abort", this.#follow);
  }
}

/**
 * A controller whose signal fires with any of `signals`, or when the caller aborts it. Use it instead of
 * `AbortSignal.any`: that keeps memory for each call as long as the signals live, a leak in a loop.
 */
export function linked(...signals: readonly (AbortSignal | undefined)[]): LinkedController {
  return new LinkedController(signals.filter((signal) => signal !== undefined));
}
