const MIN_LENGTH = 16;
const MIN_DISTINCT = 8;
/** With separators and digits between them, too. */
const OBVIOUS =
  /password|secret|changeme|letmein|token|admin|welcome|default|coordinator|agent|runner|test|example|qwertz?y?|0123456789abcdef|abcdefgh\w*/g;

/** Why others could guess a token; null if they cannot. Never contains the token. */
export function weaknessOf(token: string): string | null {
  if (token.length < MIN_LENGTH) return `it has fewer than ${MIN_LENGTH} characters`;
  if (new Set(token).size < MIN_DISTINCT) return `it has fewer than ${MIN_DISTINCT} different characters`;
  const rest = token.toLowerCase().replace(OBVIOUS, "");
  return rest !== token.toLowerCase() && /^[\d\W_]*$/.test(rest) ? "it consists of obvious words" : null;
}
