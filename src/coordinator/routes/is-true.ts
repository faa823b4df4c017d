/** Whether a query parameter is true by FastAPI's rules, which the Python coordinators follow. */
export function isTrue(value: string | null): boolean {
  return value !== null && ["true", "1", "yes", "on", "t", "y"].includes(value.toLowerCase());
}
