/** EX_CONFIG of sysexits.h. The runner takes no more runs, and gives this one to another machine. */
export const CANNOT_RUN = 78;

/**
 * Throw it in an executor if this machine can execute no run: a program is missing, or nobody is logged in. Only before
 * anything of the run was done: the run is executed again, here or on another machine.
 */
export class CannotRunHere extends Error {
  override readonly name = "CannotRunHere";
}
