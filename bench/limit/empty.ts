// The cost of every compiled Bun program before it does anything.
void 0;
