/** The values of a query parameter that FastAPI, and so the Python coordinators, take for true. */
export function isTrue(value: string | null): boolean {
  return value !== null && ["true", "1", "yes", "on", "t", "y"].includes(value.toLowerCase());
}
