// What every compiled Bun program costs before it does anything.
void 0;
