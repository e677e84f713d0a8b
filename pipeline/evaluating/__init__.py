"""Base and tuned model on the same questions, which neither saw: what each says, how right it is, and whether that differs."""
