"""Question in, ranked passages out: text, embedder, lexical, ANN, fusion, builds, packing."""
